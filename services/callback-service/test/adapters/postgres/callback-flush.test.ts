import assert from 'node:assert/strict'
import { databaseTime, flushCallbacks, isAnyLeft } from '../../../adapters/postgres/callback-flush.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('flushCallbacks', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(() => storage.query('TRUNCATE callbacks'))

  after(() => storage.close())

  const states = async (): Promise<unknown> =>
    Object.fromEntries(
      (
        await storage.query<{ key: string; count: number }>(
          `SELECT workspace || ' ' || state AS key, count(*)::int FROM callbacks GROUP BY 1`,
        )
      ).map(({ key, count }) => [key, count]),
    )

  it('cancels what waits in one state of one workspace and was received before, up to its limit', async () => {
    const { prisma } = storage.open()
    for (const workspace of ['default', 'shop']) {
      for (let i = 0; i < 5; i += 1) await putCallback(storage, { workspace })
      for (const state of ['paused', 'running']) {
        const id = await putCallback(storage, { workspace })
        await storage.query('UPDATE callbacks SET state = $2::callback_state WHERE id = $1', [id, state])
      }
    }
    const waiting = { workspace: 'default', state: 'pending', until: await databaseTime(prisma) } as const
    await putCallback(storage)
    assert.deepEqual([await flushCallbacks(prisma, { ...waiting, limit: 3 }), await isAnyLeft(prisma, waiting)], [3, true])
    assert.deepEqual([await flushCallbacks(prisma, { ...waiting, limit: 3 }), await isAnyLeft(prisma, waiting)], [2, false])
    assert.deepEqual(await states(), {
      'default cancelled': 5,
      'default pending': 1,
      'default paused': 1,
      'default running': 1,
      'shop pending': 5,
      'shop paused': 1,
      'shop running': 1,
    })
    assert.equal(await flushCallbacks(prisma, { ...waiting, state: 'paused', limit: 3 }), 1)
  })

  it('skips what another statement has locked, and knows that it is left', async () => {
    const { prisma } = storage.open()
    const id = await putCallback(storage)
    const waiting = { workspace: 'default', state: 'pending', until: await databaseTime(prisma) } as const
    const [locked, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const other = storage.open().prisma.$transaction(async tx => {
      await tx.$queryRaw`SELECT FROM callbacks WHERE id = ${id}::uuid FOR UPDATE`
      locked.resolve()
      await held.promise
    })
    await locked.promise
    assert.deepEqual([await flushCallbacks(prisma, { ...waiting, limit: 3 }), await isAnyLeft(prisma, waiting)], [0, true])
    held.resolve()
    await other
    assert.equal(await flushCallbacks(prisma, { ...waiting, limit: 3 }), 1)
  })
})
