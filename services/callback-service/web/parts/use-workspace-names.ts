import { useEffect, useState } from 'preact/hooks'
import { ask } from '../api.ts'
import { askUntilAnswered } from '../poll.ts'
import { accessKey } from '../session.ts'
import { useStore } from '../store.ts'
import { workspaceNames } from '../workspaces.ts'

/** Returns the workspaces to choose from. The one in the address is always among them. */
export function useWorkspaceNames(current: string): readonly string[] {
  const [names, setNames] = useState<readonly string[]>([])
  const key = useStore(accessKey)
  useEffect(() => askUntilAnswered(() => workspaceNames(ask, key), setNames), [key])
  return names.includes(current) ? names : [current, ...names]
}
