import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { accept, type CallbackAnswer, finished, range } from '../support/callbacks.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { ServiceProcess } from '../support/service-process.ts'

const ANSWER_MS = 50
const INTERVAL_MS = 250
const CALLBACKS = 24
/** The first id of the bad objects. */
const BAD = 10_000
/** Minimum bound for p95, because a busy machine may answer late. */
const FLOOR_MS = 500

describe('bad objects among good ones', function () {
  this.timeout(60_000)
  let database: TestDatabase
  let clientService: Server
  let service: ServiceProcess
  let answerBad: (response: ServerResponse) => unknown
  let usualMs: number

  before(async () => {
    clientService = createServer((request, response) => {
      const id = Number(request.url?.split('/').at(-1))
      setTimeout(() => {
        if (id >= BAD) answerBad(response)
        else response.setHeader('content-type', 'application/json').end(JSON.stringify({ id, online: true }))
      }, ANSWER_MS)
    })
    await once(clientService.listen(0, '127.0.0.1'), 'listening')
    await startService()
    usualMs = await p95OfHealthy()
    await stopService()
  })

  beforeEach(startService)

  afterEach(stopService)

  after(() => clientService.close().closeAllConnections())

  async function startService(): Promise<void> {
    database = await createTestDatabase()
    service = await ServiceProcess.start('callback-service', {
      DATABASE_URL: database.url,
      CLIENT_SERVICE_URL: `http://127.0.0.1:${(clientService.address() as AddressInfo).port}`,
      FETCH_TIMEOUT_MS: '500',
      PROCESS_MAX_ATTEMPTS: '2',
      PROCESS_RETRY_BASE_MS: '100',
      ZIPKIN_URL: '',
    })
    await service.ready()
  }

  async function stopService(): Promise<void> {
    await service.stop()
    await database.drop()
  }

  /** Sends healthy callbacks at a fixed rate. @returns the p95 of their times */
  async function p95OfHealthy(): Promise<number> {
    const ids: string[] = []
    for (const object of range(1, CALLBACKS)) {
      ids.push(await accept(service.url, [object]))
      await sleep(INTERVAL_MS)
    }
    const callbacks = await Promise.all(ids.map(id => finished(service.url, id, 30_000)))
    assert.ok(callbacks.every(({ state }) => state === 'completed'))
    return callbacks.map(durationMs).toSorted((a, b) => a - b)[Math.ceil(0.95 * CALLBACKS) - 1] as number
  }

  async function assertHarmless(count: number, answer: (response: ServerResponse) => unknown, end: [string, number]): Promise<void> {
    answerBad = answer
    const bad = await accept(service.url, range(BAD, count))
    const p95 = await p95OfHealthy()
    assert.ok(p95 <= Math.max(FLOOR_MS, 2 * usualMs), `healthy p95 ${p95} ms, without them ${usualMs} ms`)
    const { state, attempts } = await finished(service.url, bad)
    assert.deepEqual([state, attempts], end)
  }

  const pushBack = (response: ServerResponse): unknown => response.writeHead(429, { 'retry-after': '5' }).end()

  it('delay nobody, and their callback ends: one that always answers 429', () => assertHarmless(1, pushBack, ['failed', 2]))

  it('delay nobody, and their callback ends: 30 that always answer 429, where another was answered before', async () => {
    await finished(service.url, await accept(service.url, [CALLBACKS + 1]))
    await assertHarmless(30, pushBack, ['failed', 2])
  })

  it('delay nobody, and their callback ends: 30 that always answer 500', () =>
    assertHarmless(30, response => response.writeHead(500).end(), ['failed', 2]))

  it('delay nobody, and their callback ends: 30 that hang', () => assertHarmless(30, () => undefined, ['failed', 2]))

  it('delay nobody, and their callback ends: 30 that are not found', () =>
    assertHarmless(30, response => response.writeHead(404).end(), ['completed', 1]))
})

function durationMs({ received_at, finished_at }: CallbackAnswer): number {
  return Date.parse(finished_at as string) - Date.parse(received_at)
}
