import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { accept, finished, range } from '../support/callbacks.ts'
import { until } from '../support/eventually.ts'
import { type System, startSystem } from '../support/system.ts'

const LIVES = 14
const LIFE_MS = 1200
const CALLBACKS = 40

describe('a crash loop that no callback causes', function () {
  this.timeout(120_000)
  let system: System

  before(async () => {
    // No callback can finish within one life of the process.
    system = await startSystem({
      client: { LATENCY_MIN_MS: '3000', LATENCY_MAX_MS: '3000' },
      // This is longer than one life, even on a slow machine.
      callback: { PROCESS_PROBATION_MS: '5000' },
    })
  })

  after(() => system.stop())

  it('fails none of the callbacks that ran in it', async () => {
    const ids = await Promise.all(range(0, CALLBACKS).map(i => accept(system.callbackUrl, [i])))
    let service = system.callbackService
    for (let life = 0; life < LIVES; life += 1) {
      await sleep(LIFE_MS)
      await service.stop('SIGKILL')
      service = await system.startCallbackService()
    }
    const callbacks = await Promise.all(ids.map(id => finished(service.url, id, 60_000)))
    assert.deepEqual(new Set(callbacks.map(({ state }) => state)), new Set(['completed']))
  })
})

describe('callbacks that were in many crashes', function () {
  this.timeout(60_000)
  const suspects = 300
  let system: System

  before(async () => {
    system = await startSystem({
      client: { LATENCY_MIN_MS: '20', LATENCY_MAX_MS: '20' },
      callback: { PROCESS_PROBATION_MS: '50' },
    })
  })

  after(() => system.stop())

  it('finish soon when processes live long enough', async () => {
    await system.db.query(
      `INSERT INTO callbacks (id, object_ids, crashes, attempts) SELECT gen_random_uuid(), ARRAY[n], 5, 5 FROM generate_series(1, ${suspects}) n`,
    )
    await until(async () => (await unfinished()) === 0, 30_000)
  })

  async function unfinished(): Promise<number> {
    const { rows } = await system.db.query('SELECT count(*)::int AS count FROM callbacks WHERE finished_at IS NULL')
    return rows[0].count
  }
})
