import { useEffect, useState } from 'preact/hooks'
import { Poll } from '../poll.ts'
import { accessKey } from '../session.ts'
import { mayManage } from '../steer.ts'
import { useStore } from '../store.ts'

/** Whether the caller may change callbacks of a workspace. While nobody knows, it is true: the service decides anyway. */
export function useMayManage(workspace: string): boolean {
  const [may, setMay] = useState(true)
  const key = useStore(accessKey)
  useEffect(() => {
    setMay(true)
    const poll = new Poll({
      ask: async () => {
        setMay(await mayManage(workspace))
        poll.stop()
      },
      // The view shows already that the service does not answer.
      onFailure: () => undefined,
      isHidden: () => false,
    })
    poll.start()
    return () => poll.stop()
  }, [workspace, key])
  return may
}
