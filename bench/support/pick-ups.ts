import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pool } from 'undici'
import { callbackOf } from './load.ts'

/** How long it took until the first fetch of a callback arrived. Negative if the fetch arrived before the 202. */
export interface PickUp {
  readonly fromAnswerMs: number
  readonly fromPostMs: number
}

/** Plays the client service and the sender in one process, so that one clock measures the arrival of a 202 and of the fetch that follows. */
export class PickUps {
  readonly clientUrl: string
  readonly #clientService: Server
  #upstream: Pool | undefined
  #lastId = 0

  private constructor(clientService: Server) {
    this.#clientService = clientService
    this.clientUrl = `http://127.0.0.1:${(clientService.address() as AddressInfo).port}`
  }

  static async start(): Promise<PickUps> {
    const clientService = createServer().listen(0, '127.0.0.1')
    await once(clientService, 'listening')
    return new PickUps(clientService)
  }

  /** Number of callbacks sent, each with one object. */
  get count(): number {
    return this.#lastId
  }

  /** Sends a callback of one new object, and waits for its fetch. @throws {Error} it is not accepted, or something else is fetched */
  async next(url: string, headers: Readonly<Record<string, string>> = {}): Promise<PickUp> {
    this.#lastId += 1
    this.#upstream ??= new Pool(url)
    const fetched = this.#arrivalOf(this.#lastId)
    const posted = performance.now()
    const answer = await this.#upstream.request({
      method: 'POST',
      path: '/callback',
      headers: { 'content-type': 'application/json', ...headers },
      body: callbackOf([this.#lastId]),
    })
    const answered = performance.now()
    await answer.body.dump()
    if (answer.statusCode !== 202) throw new Error(`answered ${answer.statusCode}`)
    const fetchedAt = await fetched
    return { fromAnswerMs: fetchedAt - answered, fromPostMs: fetchedAt - posted }
  }

  async stop(): Promise<void> {
    this.#clientService.close().closeAllConnections()
    await this.#upstream?.close()
  }

  async #arrivalOf(objectId: number): Promise<number> {
    const [request, response] = (await once(this.#clientService, 'request', { signal: AbortSignal.timeout(10_000) })) as [
      { url: string },
      ServerResponse,
    ]
    const arrived = performance.now()
    if (request.url !== `/objects/${objectId}`) throw new Error(`${request.url} was fetched, not ${objectId}`)
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ id: objectId, online: true }))
    return arrived
  }
}
