import assert from 'node:assert/strict'
import { CallbackClaims } from '../../../adapters/postgres/callback-claims.ts'
import { databaseTime, flushCallbacks } from '../../../adapters/postgres/callback-flush.ts'
import { CallbackSteering } from '../../../adapters/postgres/callback-steering.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { TRANSITIONS } from '../../../domain/callback.ts'
import type { ClaimedCallback, Verdict } from '../../../domain/processing/claimed-callback.ts'
import { putCallback, upTo } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const BACK: Verdict = { state: 'pending', unstored: [], delayMs: 60_000, isCharged: true }
const VERDICTS: readonly Verdict[] = [BACK, { state: 'completed', unstored: [] }, { state: 'failed', unstored: [] }]

describe('the states of a callback', () => {
  let storage: TestStorage
  let claims: CallbackClaims
  let steering: CallbackSteering

  before(async () => {
    storage = await openTestStorage()
    await storage.query('CREATE TABLE seen (step text PRIMARY KEY)')
    await storage.query(`CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO seen VALUES (OLD.state || ' > ' || NEW.state) ON CONFLICT DO NOTHING; RETURN NEW; END $$`)
    await storage.query('CREATE TRIGGER see AFTER UPDATE ON callbacks FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION see()')
    const { prisma } = storage.open()
    claims = new CallbackClaims({ prisma, clock: new DatabaseClock(), maxCrashes: 6 })
    steering = new CallbackSteering(prisma)
  })

  after(() => storage.close())

  async function claimed(): Promise<{ callback: ClaimedCallback; key: { workspace: string; id: string } }> {
    const id = await putCallback(storage)
    const [callback] = await claims.claim(1, upTo(1))
    assert.ok(callback)
    return { callback, key: { workspace: 'default', id } }
  }

  it('change in the database as the table of transitions says, and in no other way', async () => {
    for (const verdict of VERDICTS) {
      const { callback, key } = await claimed()
      assert.equal(await claims.settle(callback, verdict), verdict.state)
      if (verdict.state === 'pending') await steering.cancel(key)
      else await steering.retry(key, 'all')
      await steering.change(key, { activated: false })
      await steering.change(key, { agentLabels: ['eu'] })
      await steering.change(key, { activated: true })
      await steering.change(key, { activated: false })
      await steering.cancel(key)
      await steering.retry(key, 'missing')
      await steering.cancel(key)
    }
    for (const wish of ['pause', 'cancel'] as const) {
      for (const leave of [(callback: ClaimedCallback) => claims.settle(callback, BACK), () => claims.takeOver(2, [1])]) {
        const { callback, key } = await claimed()
        await (wish === 'pause' ? steering.change(key, { activated: false }) : steering.wishCancelled(key))
        await leave(callback)
        await steering.cancel(key)
      }
    }
    for (const activated of [true, false]) {
      const key = { workspace: 'default', id: await putCallback(storage) }
      await steering.change(key, { activated })
    }
    const { prisma } = storage.open()
    const until = await databaseTime(prisma)
    for (const state of ['pending', 'paused'] as const) await flushCallbacks(prisma, { workspace: 'default', state, until, limit: 10 })
    const seen = await storage.query<{ step: string }>('SELECT step FROM seen')
    const allowed = Object.entries(TRANSITIONS).flatMap(([from, states]) => states.map(to => `${from} > ${to}`))
    assert.deepEqual(seen.map(({ step }) => step).toSorted(), allowed.toSorted())
  })
})
