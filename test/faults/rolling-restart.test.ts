import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { until } from '../support/eventually.ts'
import type { ServiceProcess } from '../support/service-process.ts'
import { type System, startSystem } from '../support/system.ts'

const LOOK_MS = 50
/** The delay is many times that of a look, because a busy machine may delay a look. */
const REPLICA = { SHUTDOWN_DELAY_MS: '1500' }

/** Sends requests like a load balancer: in turn to the replicas that were ready at its last check. */
class Balancer {
  readonly #pools = new Map<ServiceProcess, Pool>()
  readonly #ready = new Set<ServiceProcess>()
  readonly #looking = new AbortController()
  #next = 0

  add(service: ServiceProcess): void {
    const pool = new Pool(service.url, { connections: null, pipelining: 1 })
    this.#pools.set(service, pool)
    void this.#look(service, pool)
  }

  isReady(service: ServiceProcess): boolean {
    return this.#ready.has(service)
  }

  /** Sends a callback. @returns the status; 0 if no answer came */
  async post(body: string): Promise<number> {
    const ready = [...this.#ready]
    this.#next += 1
    const pool = this.#pools.get(ready[this.#next % ready.length] as ServiceProcess)
    const answer = await pool
      ?.request({ method: 'POST', path: '/callback', headers: { 'content-type': 'application/json' }, body })
      .catch(() => undefined)
    await answer?.body.dump()
    return answer?.statusCode ?? 0
  }

  async stop(): Promise<void> {
    this.#looking.abort()
    await Promise.all([...this.#pools.values()].map(pool => pool.destroy()))
  }

  async #look(service: ServiceProcess, pool: Pool): Promise<void> {
    while (!this.#looking.signal.aborted) {
      const answer = await pool.request({ method: 'GET', path: '/readyz' }).catch(() => undefined)
      await answer?.body.dump()
      if (answer?.statusCode === 200) this.#ready.add(service)
      else this.#ready.delete(service)
      await sleep(LOOK_MS)
    }
  }
}

describe('a rolling restart', function () {
  this.timeout(60_000)
  let system: System
  let balancer: Balancer

  before(async () => {
    system = await startSystem({ client: { LATENCY_MIN_MS: '1', LATENCY_MAX_MS: '50' }, callback: REPLICA })
    balancer = new Balancer()
  })

  after(async () => {
    await balancer.stop()
    await system.stop()
  })

  it('of three replicas under load fails and loses no request of a balancer that checks readiness', async () => {
    const join = async (service: ServiceProcess): Promise<ServiceProcess> => {
      balancer.add(service)
      await until(() => balancer.isReady(service))
      return service
    }
    const replicas = [await join(system.callbackService)]
    for (let i = 0; i < 2; i += 1) replicas.push(await join(await system.startCallbackService()))

    let isSending = true
    const statuses: Promise<number>[] = []
    const sending = (async () => {
      for (; isSending; await sleep(5)) statuses.push(balancer.post('{"object_ids":[1,2,3]}'))
    })()
    for (const replica of replicas) {
      assert.equal(await replica.stop('SIGTERM'), 0)
      await join(await system.startCallbackService())
    }
    isSending = false
    await sending

    const answered = await Promise.all(statuses)
    assert.ok(answered.length > 200, `only ${answered.length} requests`)
    assert.deepEqual(new Set(answered), new Set([202]))
    const count = async (state: string): Promise<number> =>
      (await system.db.query('SELECT FROM callbacks WHERE state = $1', [state])).rowCount ?? 0
    await until(async () => (await count('completed')) === answered.length)
    assert.equal(await count('failed'), 0)
  })
})
