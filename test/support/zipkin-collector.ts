import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** A span in Zipkin's JSON v2 (https://zipkin.io/zipkin-api/). */
export interface ZipkinSpan {
  readonly traceId: string
  readonly id: string
  readonly parentId?: string
  readonly name: string
  readonly kind?: string
  readonly timestamp: number
  readonly duration: number
  readonly localEndpoint: { readonly serviceName: string }
  readonly tags: Readonly<Record<string, string>>
}

/** Collects spans in place of Zipkin, and refuses those that Zipkin would refuse. */
export class ZipkinCollector {
  readonly spans: ZipkinSpan[] = []
  /** Why spans were refused. Tests assert that it is empty. */
  readonly refusals: string[] = []
  readonly #server: Server

  constructor() {
    this.#server = createServer(async (request, response) => {
      try {
        const spans = JSON.parse(await text(request)) as ZipkinSpan[]
        spans.forEach(checkSpan)
        this.spans.push(...spans)
        response.writeHead(202).end()
      } catch (error) {
        this.refusals.push(String(error))
        response.writeHead(400).end()
      }
    })
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/api/v2/spans`
  }

  trace(traceId: string): ZipkinSpan[] {
    return this.spans.filter(span => span.traceId === traceId)
  }
}

function checkSpan(span: ZipkinSpan): void {
  assert.match(span.traceId, /^[0-9a-f]{32}$/)
  assert.match(span.id, /^[0-9a-f]{16}$/)
  if (span.parentId !== undefined) assert.match(span.parentId, /^[0-9a-f]{16}$/)
  if (span.kind !== undefined) assert.ok(['CLIENT', 'SERVER', 'PRODUCER', 'CONSUMER'].includes(span.kind))
  assert.ok(Number.isSafeInteger(span.timestamp) && Number.isSafeInteger(span.duration) && span.duration > 0)
  assert.ok(span.localEndpoint.serviceName.length > 0)
  for (const value of Object.values(span.tags)) assert.equal(typeof value, 'string')
}
