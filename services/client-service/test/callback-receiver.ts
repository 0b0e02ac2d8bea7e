import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A callback service that notes what it got and answers as told. */
export class CallbackReceiver {
  readonly received: Received[] = []
  /** @param count of the callbacks received so far, this one included */
  answer: (response: ServerResponse, count: number) => void = response => response.writeHead(202).end()
  readonly #server: Server = createServer((request, response) => void this.#receive(request, response))

  async start(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.closeAllConnections()
    await once(this.#server.close(), 'close')
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request)
    this.received.push({ path: `${request.method} ${request.url}`, headers: request.headers, body })
    this.answer(response, this.received.length)
  }
}
