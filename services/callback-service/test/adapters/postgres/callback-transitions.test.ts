import assert from 'node:assert/strict'
import { CallbackClaims } from '../../../adapters/postgres/callback-claims.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { TRANSITIONS } from '../../../domain/callback.ts'
import type { Verdict } from '../../../domain/processing/claimed-callback.ts'
import { putCallback, upTo } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const VERDICTS: readonly Verdict[] = [
  { state: 'pending', unstored: [], delayMs: 60_000, isCharged: true },
  { state: 'completed', unstored: [] },
  { state: 'failed', unstored: [] },
]

describe('the states of a callback', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
    await storage.query('CREATE TABLE seen (step text PRIMARY KEY)')
    await storage.query(`CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO seen VALUES (OLD.state || ' > ' || NEW.state) ON CONFLICT DO NOTHING; RETURN NEW; END $$`)
    await storage.query('CREATE TRIGGER see AFTER UPDATE ON callbacks FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION see()')
  })

  after(() => storage.close())

  it('change in the database as the table of transitions says, and in no other way', async () => {
    const claims = new CallbackClaims({ prisma: storage.open().prisma, clock: new DatabaseClock(), maxCrashes: 6 })
    for (const verdict of VERDICTS) {
      await putCallback(storage)
      const [callback] = await claims.claim(1, upTo(1))
      assert.ok(callback && (await claims.settle(callback, verdict)))
    }
    const seen = await storage.query<{ step: string }>('SELECT step FROM seen')
    const allowed = Object.entries(TRANSITIONS).flatMap(([from, states]) => states.map(to => `${from} > ${to}`))
    assert.deepEqual(seen.map(({ step }) => step).toSorted(), allowed.toSorted())
  })
})
