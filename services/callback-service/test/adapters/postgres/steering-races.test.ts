import assert from 'node:assert/strict'
import { seededRandom } from '../../../../../test/chaos/random.ts'
import { CallbackClaims } from '../../../adapters/postgres/callback-claims.ts'
import { flushCallbacks } from '../../../adapters/postgres/callback-flush.ts'
import { CallbackSteering } from '../../../adapters/postgres/callback-steering.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { TRANSITIONS } from '../../../domain/callback.ts'
import type { ClaimedCallback, Verdict } from '../../../domain/processing/claimed-callback.ts'
import type { Wish } from '../../../domain/steering/cancellation.ts'
import { putCallback, upTo } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const ROUNDS = Number(process.env['RACE_ROUNDS'] ?? 1500)
const CALLBACKS = 24
/** Rounds at once. */
const AT_ONCE = 12

interface Step {
  readonly id: string
  readonly step: string
  readonly token: string | null
}

/** One process of the service, as far as it changes callbacks. */
interface Replica {
  readonly number: number
  readonly claims: CallbackClaims
  readonly steering: CallbackSteering
  /** Claimed, or lost without its knowing. */
  readonly held: ClaimedCallback[]
}

describe('changes, claims, settlements and take-overs that race', function () {
  this.timeout(300_000)
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
    await storage.query('CREATE TABLE steps (n serial, id uuid, step text, token uuid)')
    await storage.query(`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO steps (id, step, token) VALUES (NEW.id, OLD.state || ' > ' || NEW.state, OLD.claim_token); RETURN NEW; END $$`)
    await storage.query('CREATE TRIGGER note AFTER UPDATE ON callbacks FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION note()')
  })

  after(() => storage.close())

  it(`leave each callback in a state that the table allows, lose none and count none twice, in ${ROUNDS} rounds`, async () => {
    const seed = Number(process.env['RACE_SEED'] ?? Date.now() % 1_000_000)
    console.log(`        seed ${seed}`)
    const random = seededRandom(seed)
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
    const ids = await Promise.all(Array.from({ length: CALLBACKS }, () => putCallback(storage)))
    // No callback becomes a suspect, so each can be claimed however often its worker was lost.
    const replicas = [1, 2].map((number): Replica => {
      const { prisma } = storage.open({ maxConnections: 6 })
      const claims = new CallbackClaims({ prisma, clock: new DatabaseClock(), maxCrashes: 3 })
      return { number, claims, steering: new CallbackSteering(prisma), held: [] }
    })
    const flusher = storage.open({ maxConnections: 2 }).prisma
    const wishes: Wish[] = []
    const told = { settled: new Map<string, string>(), takenOver: 0, cancelled: 0, retried: 0 }

    const settle = async ({ claims, held }: Replica): Promise<void> => {
      const [callback] = held.splice(Math.floor(random() * held.length), 1)
      if (!callback) return
      const unstored = [{ id: 1n, outcome: 'pending', reason: 'timeout' }] as const
      const verdict: Verdict = pick([
        { state: 'completed', unstored: [] },
        { state: 'failed', unstored: [] },
        { state: 'pending', unstored, delayMs: 0, isCharged: true },
        { state: 'pending', unstored, delayMs: 0, isCharged: false },
      ])
      const state = await claims.settle(callback, verdict)
      claims.release(callback)
      if (!state) return
      const claim = `${callback.id} ${callback.token}`
      assert.ok(!told.settled.has(claim), 'a claim is settled once')
      told.settled.set(claim, state)
    }
    const until = '2100-01-01'
    const deeds: ((replica: Replica, other: Replica, key: { workspace: string; id: string }) => Promise<unknown>)[] = [
      async ({ claims, number, held }) => held.push(...(await claims.claim(number, upTo(3)))),
      async ({ claims, number, held }) => held.push(...(await claims.claim(number, upTo(3)))),
      settle,
      settle,
      settle,
      async ({ claims, number }, other) => {
        if (random() > 0.3) return
        const count = await claims.takeOver(number, [other.number])
        told.takenOver += count
      },
      async ({ steering }, _, key) => {
        const before = await steering.cancel(key)
        if (before === 'pending' || before === 'paused') told.cancelled += 1
      },
      async ({ steering }, _, key) => {
        const before = await steering.retry(key, pick(['all', 'missing']))
        if (before === 'completed' || before === 'failed' || before === 'cancelled') told.retried += 1
      },
      ({ steering }, _, key) => steering.change(key, { activated: false }),
      ({ steering }, _, key) => steering.change(key, { activated: true, priority: Math.floor(random() * 3) }),
      ({ steering }, _, key) => steering.change(key, { agentLabels: pick([null, [], ['eu']]) }),
      async ({ steering }, _, key) => {
        const wish = await steering.wishCancelled(key)
        if (wish) wishes.push(wish)
      },
      () => wishes.splice(Math.floor(random() * wishes.length), 1)[0]?.withdraw() ?? Promise.resolve(),
      async () => {
        if (random() > 0.1) return
        for (const state of ['pending', 'paused'] as const) {
          const count = await flushCallbacks(flusher, { workspace: 'default', state, until, limit: 5 })
          told.cancelled += count
        }
      },
    ]

    let round = 0
    const race = async (): Promise<void> => {
      while (round < ROUNDS) {
        round += 1
        const [replica, other] = random() < 0.5 ? replicas : replicas.toReversed()
        await pick(deeds)(replica as Replica, other as Replica, { workspace: 'default', id: pick(ids) })
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, race))

    const steps = await storage.query<Step>('SELECT id, step, token FROM steps ORDER BY n')
    const allowed = new Set(Object.entries(TRANSITIONS).flatMap(([from, states]) => states.map(to => `${from} > ${to}`)))
    assert.deepEqual(
      steps.filter(({ step }) => !allowed.has(step)),
      [],
    )
    const left = steps.filter(({ step }) => step.startsWith('running > '))
    const byClaim = Map.groupBy(left, ({ id, token }) => `${id} ${token}`)
    assert.deepEqual(
      [...byClaim.values()].filter(ends => ends.length > 1),
      [],
      'a claim ends once',
    )
    for (const [claim, state] of told.settled) assert.equal(byClaim.get(claim)?.[0]?.step, `running > ${state}`)
    const countOf = (...kinds: string[]): number => steps.filter(({ step }) => kinds.includes(step)).length
    assert.deepEqual(
      {
        left: told.settled.size + told.takenOver,
        cancelled: told.cancelled,
        retried: told.retried,
      },
      {
        left: left.length,
        cancelled: countOf('pending > cancelled', 'paused > cancelled'),
        retried: countOf('completed > pending', 'failed > pending', 'cancelled > pending'),
      },
      'each change that was reported happened once, and no other',
    )
    const odd = await storage.query(
      `SELECT id, state FROM callbacks WHERE (state = 'running') <> (claim_token IS NOT NULL) OR (state IN ('completed', 'failed', 'cancelled')) <> (finished_at IS NOT NULL)
         OR wish IS NOT NULL AND state <> 'running' OR attempts < 0 OR crashes < 0`,
    )
    assert.deepEqual(odd, [])
    assert.equal((await storage.query('SELECT id FROM callbacks')).length, CALLBACKS, 'none is lost')
    const [{ deadlocks } = { deadlocks: -1 }] = await storage.query<{ deadlocks: number }>(
      'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()',
    )
    assert.equal(deadlocks, 0)
    console.log(
      `        ${steps.length} transitions, ${new Set(steps.map(({ step }) => step)).size} of ${allowed.size} kinds; ${told.settled.size} settled`,
    )
  })
})
