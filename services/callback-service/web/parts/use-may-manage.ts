import { useEffect, useState } from 'preact/hooks'
import { askUntilAnswered } from '../poll.ts'
import { accessKey } from '../session.ts'
import { mayManage } from '../steer.ts'
import { useStore } from '../store.ts'

/** Whether the caller may change callbacks of a workspace. While nobody knows, it is true: the service decides anyway. */
export function useMayManage(workspace: string): boolean {
  const [may, setMay] = useState(true)
  const key = useStore(accessKey)
  useEffect(() => {
    setMay(true)
    return askUntilAnswered(() => mayManage(workspace), setMay)
  }, [workspace, key])
  return may
}
