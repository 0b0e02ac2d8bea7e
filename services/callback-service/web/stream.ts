import { withQuery } from './api.ts'
import type { ListedCallback } from './callbacks.ts'
import { accessKey } from './session.ts'

type Element = (ListedCallback & { readonly cursor?: string }) | { readonly kind: string; readonly cursor?: string }

export interface StreamListener {
  /** Callbacks that changed, each in its newest state. Some may come again. */
  readonly onCallbacks: (callbacks: readonly ListedCallback[]) => void
  /** `live`: everything has come. `behind`: the connection is open, but more follows. `lost`: there is none; it comes back by itself. */
  readonly onState: (state: StreamState) => void
  /** The cursor was too old: forget what you have, everything unfinished comes again. */
  readonly onStartAnew: () => void
}

export type StreamState = 'connecting' | 'behind' | 'live' | 'lost'

const START_ANEW = 4410
const FIRST_WAIT_MS = 250
const MAX_WAIT_MS = 5000
/** The service sends a cursor every 20 s at the latest. A connection that is silent for longer is dead, even if nobody has said so. */
const SILENCE_MS = 45_000

/**
 * Listens to the callbacks of a workspace (`GET /v1/stream`). A lost connection comes back by itself and goes on where it was.
 * @param query which callbacks: `state` and `object_id`, as the stream takes them
 * @returns a function that ends it
 */
export function listen(
  workspace: string,
  { onCallbacks, onState, onStartAnew }: StreamListener,
  query: Readonly<Record<string, string>> = {},
): () => void {
  let socket: WebSocket | undefined
  let cursor: string | undefined
  let waitMs = FIRST_WAIT_MS
  let timer: ReturnType<typeof setTimeout> | undefined
  let isEnded = false

  const connect = (): void => {
    onState('connecting')
    const url = new URL(withQuery('v1/stream', { ...query, workspace_id: workspace, cursor, api_key: accessKey.value }), location.href)
    url.protocol = url.protocol.replace('http', 'ws')
    socket = new WebSocket(url)
    socket.onopen = () => {
      onState('behind')
      watch()
    }
    socket.onmessage = ({ data }) => {
      waitMs = FIRST_WAIT_MS
      watch()
      take(JSON.parse(data as string) as Element[])
    }
    socket.onclose = ({ code }) => {
      if (isEnded) return
      if (code === START_ANEW) {
        cursor = undefined
        onStartAnew()
      }
      again()
    }
  }

  const take = (elements: readonly Element[]): void => {
    cursor = elements.findLast(element => element.cursor !== undefined)?.cursor ?? cursor
    const callbacks = elements.filter((element): element is ListedCallback => element.kind === 'Callback')
    if (callbacks.length > 0) onCallbacks(callbacks)
    if (elements.length === 0) onState('live')
  }

  const again = (): void => {
    clearTimeout(timer)
    onState('lost')
    // Jitter, so that pages do not all come back at once after a restart.
    timer = setTimeout(connect, waitMs * (0.5 + Math.random() / 2))
    waitMs = Math.min(MAX_WAIT_MS, waitMs * 2)
  }

  const watch = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => socket?.close(), SILENCE_MS)
  }

  connect()
  return () => {
    isEnded = true
    clearTimeout(timer)
    socket?.close()
  }
}
