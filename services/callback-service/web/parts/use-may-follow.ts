import { useEffect, useState } from 'preact/hooks'
import { ask } from '../api.ts'
import type { StreamState } from '../stream.ts'

/**
 * Whether the caller may follow the changes of a workspace. A browser does not say why a WebSocket was refused, so a plain request asks, once the
 * stream was lost before anything came.
 */
export function useMayFollow(workspace: string, stream: StreamState): boolean {
  const [may, setMay] = useState(true)
  const [hasBeenLive, setLive] = useState(false)
  const isDoubtful = stream === 'lost' && !hasBeenLive
  useEffect(() => {
    if (stream === 'live') setLive(true)
  }, [stream])
  useEffect(() => {
    if (!isDoubtful) return
    // Whoever may follow gets 426 instead: this path is a WebSocket.
    ask(`v1/stream?workspace_id=${encodeURIComponent(workspace)}`).catch((error: { code?: string }) => setMay(error.code !== 'not_found'))
  }, [isDoubtful, workspace])
  return may
}
