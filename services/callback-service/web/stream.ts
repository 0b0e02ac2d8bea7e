import { withQuery } from './api.ts'
import { accessKey } from './session.ts'
import { followStream, type StreamListener } from './stream-follower.ts'

export type { StreamListener, StreamState } from './stream-follower.ts'

/**
 * Listens to the callbacks of a workspace (`GET /v1/stream`). A lost connection comes back by itself and goes on where it was.
 * @param query which callbacks: `state` and `object_id`, as the stream takes them
 * @returns a function that ends it
 */
export function listen(workspace: string, listener: StreamListener, query: Readonly<Record<string, string>> = {}): () => void {
  return followStream(cursor => {
    const url = new URL(withQuery('v1/stream', { ...query, workspace_id: workspace, cursor, api_key: accessKey.value }), location.href)
    url.protocol = url.protocol.replace('http', 'ws')
    return new WebSocket(url)
  }, listener)
}
