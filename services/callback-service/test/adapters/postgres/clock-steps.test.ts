import assert from 'node:assert/strict'
import { ClockSteps } from '../../../adapters/postgres/clock-steps.ts'
import { readClusterState } from '../../../adapters/postgres/cluster-state.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { ASKER, backdate, newStore } from './new-store.ts'
import { putCallback, readCallback } from './stored-callbacks.ts'
import { logger, openTestStorage, type TestStorage } from './test-storage.ts'

/** What replicas have made up for. */
const none = { number: 0, byMs: 0, oldestTransaction: '3' }

/** The tests do not step the clock of the database. They tell the replica that the clock was different before. */
describe('ClockSteps', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(() => storage.query('TRUNCATE callbacks, objects, clock_steps'))

  after(() => storage.close())

  /** A replica that has just noticed a step of the clock. */
  function replica(byMs: number) {
    const clock = new DatabaseClock()
    const sentMs = performance.now()
    clock.observe(Date.now() - byMs, sentMs)
    clock.observe(Date.now(), sentMs)
    return { clock, steps: new ClockSteps({ prisma: storage.open().prisma, clock, logger }) }
  }

  /** Stores an object as if some time ago, by the clock before the step. */
  async function putObject(id: bigint, agoMs: number, stepMs: number): Promise<void> {
    await newStore(storage.open()).store.upsert({ id, online: true, leftAtMs: 0, fetchedAtMs: Date.now() - 1 }, ASKER)
    await backdate(storage, agoMs + stepMs, [id])
  }

  async function expiries(): Promise<number[]> {
    const rows = await storage.query<{ in_ms: number }>(
      'SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 * 1000 AS in_ms FROM objects ORDER BY id',
    )
    return rows.map(row => row.in_ms)
  }

  for (const byMs of [2000, -2000, 60_000, -60_000, 3_600_000, -3_600_000]) {
    it(`lets each object live as long as it would have without a step by ${byMs / 1000} s`, async () => {
      await putObject(1n, 1000, byMs)
      await putObject(2n, 10_000, byMs)
      await replica(byMs).steps.makeUp(none)
      const [first = 0, second = 0] = await expiries()
      assert.ok(Math.abs(first - 29_000) < 1000, `${first} ms left of 29,000`)
      assert.ok(Math.abs(second - 20_000) < 1000, `${second} ms left of 20,000`)
    })
  }

  it('deletes nothing that only seems expired, from the moment the step is noticed until the times have moved', async () => {
    await putObject(1n, 1000, 60_000)
    const { clock, steps } = replica(60_000)
    const { store } = newStore(storage.open(), 30, clock)
    assert.deepEqual((await store.deleteExpired(10)).latenessMs, [])
    await steps.makeUp(none)
    assert.deepEqual((await store.deleteExpired(10)).latenessMs, [])
    assert.equal((await expiries()).length, 1)
  })

  it('leaves objects alone that were stored since the step', async () => {
    const { steps } = replica(-60_000)
    await putObject(1n, 0, 0)
    await steps.makeUp(none)
    const [left = 0] = await expiries()
    assert.ok(left > 29_000 && left <= 30_000, `${left} ms left`)
  })

  it('leaves that alone too where the statement that moves the rest is late', async () => {
    const { clock } = replica(-60_000)
    const { prisma } = storage.open()
    const late = Object.create(prisma, {
      $queryRaw: {
        value: async (...statement: Parameters<typeof prisma.$queryRaw>) => {
          await storage.query('SELECT pg_sleep(0.5)')
          return prisma.$queryRaw(...statement)
        },
      },
    }) as typeof prisma
    await putObject(1n, 0, 0)
    await new ClockSteps({ prisma: late, clock, logger }).makeUp(none)
    const [left = 0] = await expiries()
    assert.ok(left > 20_000 && left <= 30_000, `${left} ms left`)
  })

  it('moves what was stored exactly as long before a step back as the step is large', async () => {
    const { prisma } = storage.open()
    const clock = new DatabaseClock()
    clock.observe(Date.now() + 60_000, performance.now())
    const steps = new ClockSteps({ prisma, clock, logger })
    await putObject(1n, 0, 0)
    await storage.query(`UPDATE objects SET expires_at = stored_at + interval '2 minutes'`)
    await steps.makeUp((await readClusterState(prisma, { clock: new DatabaseClock(), maxCrashes: 3 })).clockSteps)
    const sentMs = performance.now() - 1000
    clock.observe(Date.now(), sentMs)
    Object.defineProperty(clock.step, 'afterMs', { value: sentMs })
    await steps.makeUp(none)
    const [left = 0] = await expiries()
    assert.ok(Math.abs(left - 60_000) < 2000, `${left} ms left of 60,000`)
  })

  it('makes up for the next step that came while it made up for one', async () => {
    await putObject(1n, 10_000, 75_000)
    const { clock } = replica(60_000)
    const { prisma } = storage.open()
    const interrupted = Object.create(prisma, {
      $queryRaw: {
        value: async (...statement: Parameters<typeof prisma.$queryRaw>) => {
          if (clock.step && clock.step.byMs < 70_000) clock.observe(Date.now() + 15_000, performance.now())
          return prisma.$queryRaw(...statement)
        },
      },
    }) as typeof prisma
    const steps = new ClockSteps({ prisma: interrupted, clock, logger })
    for (let i = 0; i < 2; i += 1)
      await steps.makeUp((await readClusterState(prisma, { clock: new DatabaseClock(), maxCrashes: 3 })).clockSteps)
    const [{ byMs } = { byMs: 0 }] = await storage.query<{ byMs: number }>('SELECT sum(step_ms)::float8 AS "byMs" FROM clock_steps')
    assert.ok(Math.abs(byMs - 75_000) < 1000, `${byMs} ms`)
    assert.equal(clock.step, undefined)
  })

  it('moves everything once, whichever of two replicas is faster', async () => {
    await putObject(1n, 10_000, -60_000)
    const [one, other] = [replica(-60_000), replica(-60_000)]
    await Promise.all([one.steps.makeUp(none), other.steps.makeUp(none)])
    const [left = 0] = await expiries()
    assert.ok(Math.abs(left - 20_000) < 1000, `${left} ms left`)
    assert.equal((await storage.query('SELECT FROM clock_steps')).length, 1)
  })

  it('moves nothing if the number shows that another replica has done so', async () => {
    const { clock, steps } = replica(-60_000)
    clock.forgetStep(clock.step?.byMs ?? 0)
    await steps.makeUp(none)
    clock.observe(Date.now() - 60_000, performance.now())
    await putObject(1n, 10_000, 0)
    await steps.makeUp({ ...none, number: 1, byMs: -60_000 })
    const [left = 0] = await expiries()
    assert.ok(Math.abs(left - 20_000) < 1000, `${left} ms left`)
    assert.equal(clock.step, undefined)
  })

  it('makes earlier callbacks due when the clock went back, in their order, and moves retries by the step', async () => {
    const [second, first] = [await putCallback(storage, { dueInMs: 3_590_000 }), await putCallback(storage, { dueInMs: 3_580_000 })]
    const retry = await putCallback(storage, { dueInMs: 3_605_000 })
    await storage.query(`UPDATE callbacks SET unstored = '[]' WHERE id = $1`, [retry])
    await replica(-3_600_000).steps.makeUp(none)
    const dueIn = async (id: string): Promise<number> => (await readCallback(storage, id)).due_in_ms
    const inOrder = await storage.query('SELECT id FROM callbacks WHERE due_at <= clock_timestamp() ORDER BY due_at')
    assert.deepEqual(inOrder, [{ id: first }, { id: second }])
    assert.ok(Math.abs((await dueIn(retry)) - 5000) < 1000)
  })

  it('lets a callback wait on that its agents brought nothing for', async () => {
    const id = await putCallback(storage, { dueInMs: 300_000 })
    await storage.query('UPDATE callbacks SET returns = 20 WHERE id = $1', [id])
    await replica(-60_000).steps.makeUp(none)
    const { due_in_ms: dueInMs } = await readCallback(storage, id)
    assert.ok(Math.abs(dueInMs - 240_000) < 1000, `due in ${dueInMs} ms`)
  })

  it('makes callbacks due that a replica left behind when it died half-way', async () => {
    const id = await putCallback(storage, { dueInMs: 3_590_000 })
    await storage.query('INSERT INTO clock_steps (number, step_ms) VALUES (1, -3600000)')
    const started = new ClockSteps({ prisma: storage.open().prisma, clock: new DatabaseClock(), logger })
    await started.makeUp({ ...none, number: 1, byMs: -3_600_000 })
    assert.ok((await readCallback(storage, id)).due_in_ms <= 0)
  })

  it('changes nothing for a step too small to be noticed', async () => {
    await putObject(1n, 0, 0)
    const { clock, steps } = replica(-900)
    assert.ok(clock.step)
    await steps.makeUp(none)
    assert.deepEqual(await storage.query('SELECT FROM clock_steps'), [])
    assert.equal(clock.step, undefined)
  })
})
