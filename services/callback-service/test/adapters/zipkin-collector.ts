import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

export interface ZipkinSpan {
  readonly traceId: string
  readonly id: string
  readonly parentId?: string
  readonly name: string
  /** Microseconds. */
  readonly timestamp: number
  readonly duration: number
  readonly tags: Readonly<Record<string, string>>
}

/** A Zipkin that only remembers. */
export class ZipkinCollector {
  readonly spans: ZipkinSpan[] = []
  readonly #server: Server = createServer(async (request, response) => {
    this.spans.push(...((await json(request)) as ZipkinSpan[]))
    response.writeHead(202).end()
  })

  async start(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/api/v2/spans`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await once(this.#server.close(), 'close')
  }
}
