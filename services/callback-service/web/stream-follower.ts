import type { ListedCallback } from './callbacks.ts'

type Element = (ListedCallback & { readonly cursor?: string }) | { readonly kind: string; readonly cursor?: string }

export interface StreamListener {
  /** Callbacks that changed, each in its newest state. Some may come again. */
  readonly onCallbacks: (callbacks: readonly ListedCallback[]) => void
  /** `live`: everything has come. `behind`: the connection is open, but more follows. `lost`: there is none; it comes back by itself. */
  readonly onState: (state: StreamState) => void
  /** The cursor was too old: forget what you have, everything unfinished comes again. */
  readonly onStartOver: () => void
}

export type StreamState = 'connecting' | 'behind' | 'live' | 'lost'

/** What is needed of a `WebSocket`. */
export interface Socket {
  onopen: ((event: never) => void) | null
  onmessage: ((event: MessageEvent) => void) | null
  onclose: ((event: CloseEvent) => void) | null
  close(): void
}

const START_OVER = 4410
const FIRST_WAIT_MS = 250
const MAX_WAIT_MS = 5000
/** Time for a connection to open. A process that hangs takes connections and says nothing. */
const OPEN_MS = 10_000
/** The service sends a cursor every 20 s at the latest. A connection that is silent for longer is dead, even if nobody has said so. */
const SILENCE_MS = 45_000

/**
 * Follows a stream of callbacks over as many connections as it takes.
 * @param connect opens a connection that goes on after a cursor
 * @returns a function that ends it
 */
export function followStream(
  connect: (cursor: string | undefined) => Socket,
  { onCallbacks, onState, onStartOver }: StreamListener,
  random: () => number = Math.random,
): () => void {
  let socket: Socket | undefined
  let cursor: string | undefined
  let waitMs = FIRST_WAIT_MS
  let timer: ReturnType<typeof setTimeout> | undefined
  let isOpen = false

  const open = (): void => {
    onState('connecting')
    isOpen = false
    socket = connect(cursor)
    within(OPEN_MS)
    socket.onopen = () => {
      isOpen = true
      onState('behind')
      within(SILENCE_MS)
    }
    socket.onmessage = ({ data }) => {
      waitMs = FIRST_WAIT_MS
      within(SILENCE_MS)
      take(JSON.parse(data as string) as Element[])
    }
    socket.onclose = ({ code }) => {
      if (code === START_OVER) {
        cursor = undefined
        onStartOver()
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
    leave()
    onState('lost')
    // Jitter, so that pages do not all come back at once after a restart.
    timer = setTimeout(open, waitMs * (0.5 + random() / 2))
    waitMs = Math.min(MAX_WAIT_MS, waitMs * 2)
  }

  const within = (ms: number): void => {
    clearTimeout(timer)
    // Not by `onclose`: on a dead network a browser waits a minute for the other side to close.
    timer = setTimeout(again, ms)
  }

  const leave = (): void => {
    clearTimeout(timer)
    if (socket) Object.assign(socket, { onopen: null, onmessage: null, onclose: null })
    socket?.close()
    socket = undefined
  }

  const end = (): void => {
    // Browsers warn in their console of a connection that is closed before it is open.
    const opening = isOpen ? undefined : socket
    if (opening) {
      socket = undefined
      Object.assign(opening, { onopen: () => opening.close(), onmessage: null, onclose: null })
    }
    leave()
  }

  open()
  return end
}
