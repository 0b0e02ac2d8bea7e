import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A callback that waits for an agent. */
export interface Waiting {
  readonly token: string
  /** Digits of the ids. */
  readonly ids: readonly string[]
  readonly seconds?: number
  readonly more?: object
}

/** A callback service that gives leases and keeps what agents send. A test may take over any answer. */
export class FakeAnswerback {
  readonly received: Received[] = []
  /** Objects delivered by token: `7:true`. */
  readonly delivered = new Map<string, string[]>()
  /** Bodies of the requests that ended leases, by token. */
  readonly ended = new Map<string, string>()
  /** Answers a request in the place of this server. @returns whether it did */
  intercept: (request: Received, response: ServerResponse) => boolean = () => false
  readonly #live = new Map<string, Waiting>()
  readonly #waiting: Waiting[] = []
  readonly #polls = new Set<() => void>()
  readonly #server: Server = createServer((request, response) => void this.#receive(request, response))

  async start(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Number of requests for leases that wait. */
  get polls(): number {
    return this.#polls.size
  }

  /** Requests whose path matches, in order. */
  requests(path: RegExp): Received[] {
    return this.received.filter(request => path.test(request.path))
  }

  add(...waiting: Waiting[]): void {
    this.#waiting.push(...waiting)
    for (const wake of this.#polls) wake()
  }

  /** Ends a lease, as if it had lapsed. */
  lapse(token: string): void {
    this.#live.delete(token)
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.closeAllConnections()
    await once(this.#server.close(), 'close')
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const received = { path: `${request.method} ${request.url}`, headers: request.headers, body: await text(request) }
    this.received.push(received)
    if (this.intercept(received, response)) return
    if (/^POST \/v1\/agents\/[^/]+\/leases$/.test(received.path)) this.#lease(JSON.parse(received.body), response)
    else this.#use(received, response)
  }

  #lease({ wait_seconds: seconds, max_callbacks: max }: { wait_seconds: number; max_callbacks: number }, response: ServerResponse): void {
    const give = (): boolean => {
      const given = this.#waiting.splice(0, max)
      for (const waiting of given) this.#live.set(waiting.token, waiting)
      if (given.length > 0) json(response, 201, `{"kind":"LeaseList","id":"leases","items":[${given.map(leaseText)}]}`)
      return given.length > 0
    }
    if (give()) return
    if (seconds === 0) return void response.writeHead(204).end()
    const end = (): void => {
      clearTimeout(timer)
      this.#polls.delete(wake)
    }
    const wake = (): void => {
      if (give()) end()
    }
    const timer = setTimeout(() => {
      end()
      response.writeHead(204).end()
    }, seconds * 1000).unref()
    this.#polls.add(wake)
    response.on('close', end)
  }

  #use(received: Received, response: ServerResponse): void {
    const [, method, token = '', objects] = /^(\w+) \/v1\/leases\/([^/]+)(\/objects)?$/.exec(received.path) ?? []
    const lease = this.#live.get(token)
    if (!lease) json(response, 410, '{"code":"lease_lost"}')
    else if (method === 'PUT' && objects) this.#deliver(token, received.body, response)
    else this.#patch(lease, received.body, response)
  }

  #deliver(token: string, body: string, response: ServerResponse): void {
    const items = [...body.matchAll(/\{"id":(-?\d+),"online":(true|false)\}/g)].map(([, id, online]) => `${id}:${online}`)
    this.delivered.set(token, [...(this.delivered.get(token) ?? []), ...items])
    json(response, 200, `{"kind":"Delivery","stored":${items.length},"wanted":0,"expires_at":"2026-01-01T00:00:00Z"}`)
  }

  #patch(lease: Waiting, body: string, response: ServerResponse): void {
    const { state } = JSON.parse(body) as { state?: string }
    if (state !== undefined) {
      this.#live.delete(lease.token)
      this.ended.set(lease.token, body)
    }
    json(response, 200, state === undefined ? leaseText(lease) : `{"kind":"LeaseEnd","state":"${state}"}`)
  }
}

function leaseText({ token, ids, seconds = 30, more = {} }: Waiting): string {
  const members = { attempt: 1, received_at: '2026-01-01T00:00:00Z', expires_in_seconds: seconds, ...more }
  const rest = JSON.stringify(members).slice(1)
  return `{"kind":"Lease","location":"/v1/leases/${token}","objects":"/v1/leases/${token}/objects","object_ids":[${ids}],${rest}`
}

export function json(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
}
