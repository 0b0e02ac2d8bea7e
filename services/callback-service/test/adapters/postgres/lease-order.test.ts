import assert from 'node:assert/strict'
import type { PrismaClient } from '#prisma'
import { until } from '../../../../../test/support/eventually.ts'
import { settleCallbacks } from '../../../adapters/postgres/callback-leaving.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { markDelivered } from '../../../adapters/postgres/lease-marks.ts'
import { readLeases } from '../../../adapters/postgres/lease-reader.ts'
import type { HeldLease } from '../../../domain/leasing/held-lease.ts'
import { putLease } from './leased-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

type Leased = Awaited<ReturnType<typeof putLease>>

describe('statements about several leases', () => {
  const clock = new DatabaseClock()
  let storage: TestStorage
  let prisma: PrismaClient
  let greater: Leased
  let smaller: Leased

  before(async () => {
    storage = await openTestStorage()
    prisma = storage.open({ maxConnections: 4 }).prisma
  })

  beforeEach(async () => {
    await storage.query('TRUNCATE callbacks, agents')
    // The one that lies first on the disk has the greater id.
    ;[greater, smaller] = [await putLease(storage), await putLease(storage)]
    while (greater.id < smaller.id) [greater, smaller] = [smaller, await putLease(storage)]
    // With so many others, Postgres would rather read all leases, in their order on the disk.
    await storage.query(
      `INSERT INTO callbacks (id, object_ids, state, agent_id, claim_token, leased_at, lease_expires_at)
       SELECT gen_random_uuid(), '{1}', 'running', $1, gen_random_uuid(), now(), now() + interval '1 h' FROM generate_series(1, 1000)`,
      [greater.key.agentId],
    )
    await storage.query('ANALYZE callbacks')
  })

  after(() => storage.close())

  const read = (renewal: { renewSeconds?: number }) =>
    readLeases(
      prisma,
      clock,
      [greater, smaller].map(({ key }) => ({ key, ...renewal })),
    )

  const statementsWait = (count: number) =>
    until(async () => {
      const waiting = await storage.query("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
      return waiting.length === count
    })

  const uses: Record<string, (held: readonly HeldLease[]) => Promise<readonly unknown[]>> = {
    'a delivery': held =>
      markDelivered(
        prisma,
        held.map(each => ({ held: each, ids: [1n], offline: [] })),
        30,
      ),
    'their end': held =>
      settleCallbacks(
        prisma,
        held.map(({ callback, agentName: name }) => ({
          callback,
          verdict: { state: 'failed', unstored: [] },
          workerNumber: undefined,
          agent: { name, delivered: 0 },
        })),
        Date.now(),
      ),
  }

  for (const [name, use] of Object.entries(uses)) {
    it(`do not block each other: a renewal and ${name}`, async () => {
      const held = (await read({})) as HeldLease[]
      const [renewed, used] = await storage
        .duringTransaction('SELECT FROM callbacks WHERE id = $1 FOR UPDATE', [smaller.id], async () => {
          const renewal = read({ renewSeconds: 30 })
          await statementsWait(1)
          const both = Promise.allSettled([renewal, use(held)])
          await statementsWait(2)
          return { both }
        })
        .then(({ both }) => both)
      assert.deepEqual([renewed?.status, used?.status], ['fulfilled', 'fulfilled'])
    })
  }
})
