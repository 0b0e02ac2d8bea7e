import type { ServerResponse } from 'node:http'
import type { Part } from '../lifecycle/parts.ts'
import { CLOSE_CODES, PacedSocket } from './paced-socket.ts'
import { HttpProblem } from './problems.ts'
import { acceptWebSocket } from './websocket.ts'

export interface WebSocketClient {
  /** Whether the client may still listen. It is asked once a second. */
  readonly isAdmitted: () => boolean
  readonly onClosed: () => void
}

const CHECK_MS = 1000

/**
 * The open WebSockets of a port. Each is closed with 4401 within a second after its client is no longer admitted. The stop closes all with
 * 1001 at once, and cuts off after a second those that do not answer. It comes before the stop of the server, which waits for them.
 */
export class WebSockets implements Part {
  readonly name = 'web-sockets'
  readonly #max: number
  readonly #open = new Map<PacedSocket, WebSocketClient>()
  #isStopped = false
  #checking: NodeJS.Timeout | undefined

  /** @param options.max maximum number of WebSockets */
  constructor({ max }: { readonly max: number }) {
    this.#max = max
  }

  get count(): number {
    return this.#open.size
  }

  start(): void {
    this.#checking = setInterval(() => this.#check(), CHECK_MS).unref()
  }

  stop(): void {
    this.#isStopped = true
    clearInterval(this.#checking)
    for (const socket of this.#open.keys()) socket.close(CLOSE_CODES.goingAway, 'the service is shutting down')
  }

  /** @throws {HttpProblem} shutting_down, too_many_streams */
  requireRoom(): void {
    const headers = { 'Retry-After': '1' }
    if (this.#isStopped) throw new HttpProblem('shutting_down', 'Open the WebSocket at another replica.', { headers })
    if (this.#open.size >= this.#max) throw new HttpProblem('too_many_streams', 'Try again later, or at another replica.', { headers })
  }

  /** Turns a request into a WebSocket. Call `requireRoom` just before. @returns undefined if the caller has left */
  open(response: ServerResponse, client: WebSocketClient): PacedSocket | undefined {
    const accepted = acceptWebSocket(response)
    if (!accepted) return undefined
    const socket = new PacedSocket(accepted, () => {
      this.#open.delete(socket)
      client.onClosed()
    })
    this.#open.set(socket, client)
    return socket
  }

  #check(): void {
    for (const [socket, client] of this.#open) {
      if (client.isAdmitted()) socket.check()
      else socket.close(CLOSE_CODES.keyInvalid, 'the key or the workspace is no longer valid')
    }
  }
}
