import { once } from 'node:events'
import { WebSocket } from 'ws'

/** A callback of a stream, as far as tests look at it. */
export interface StreamedCallback {
  readonly kind: string
  readonly id: string
  readonly state: string
  readonly attempts: number
}

/** A client of `GET /v1/stream`. It remembers the newest state of each callback, and the last cursor. */
export class StreamClient {
  readonly states = new Map<string, string>()
  readonly messages: (readonly StreamedCallback[])[] = []
  cursor: string | undefined
  /** Whether the service has said that the client is current. */
  isCurrent = false
  readonly socket: WebSocket

  /** @param url of the service, with http: */
  constructor(url: string, query: Readonly<Record<string, string>> = {}, headers: Readonly<Record<string, string>> = {}) {
    this.socket = new WebSocket(`${url.replace(/^http/, 'ws')}/v1/stream?${new URLSearchParams(query)}`, { headers })
    // A close follows.
    this.socket.on('error', () => undefined)
    this.socket.on('message', data => this.#take(JSON.parse(String(data)) as (StreamedCallback & { cursor?: string })[]))
  }

  /** Resolves with the code when the connection has ended. */
  async closed(): Promise<number> {
    if (this.socket.readyState === WebSocket.CLOSED) throw new Error('the stream was closed before')
    const [code] = (await once(this.socket, 'close')) as [number]
    return code
  }

  close(): void {
    this.socket.terminate()
  }

  #take(message: readonly (StreamedCallback & { cursor?: string })[]): void {
    this.messages.push(message)
    if (message.length === 0) this.isCurrent = true
    for (const { kind, id, state, cursor } of message) {
      if (kind === 'Callback') this.states.set(id, state)
      this.cursor = cursor ?? this.cursor
    }
  }
}
