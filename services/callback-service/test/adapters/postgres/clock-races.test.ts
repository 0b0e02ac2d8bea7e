import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { between, seededRandom } from '../../../../../test/chaos/random.ts'
import { giveSteppingClock } from '../../../../../test/support/stepping-clock.ts'
import { pruneCallbacks } from '../../../adapters/postgres/callback-retention.ts'
import { ClockSteps } from '../../../adapters/postgres/clock-steps.ts'
import { readClusterState } from '../../../adapters/postgres/cluster-state.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { newStore } from './new-store.ts'
import { putCallback } from './stored-callbacks.ts'
import { logger, openTestStorage, type TestStorage } from './test-storage.ts'

const PLAYS = Number(process.env['CLOCK_PLAYS'] ?? 5)
const DEEDS = 60
/** The sum of any two is zero or more than a second: smaller steps are not made up for. */
const STEPS_MS = [1500, -1500, 3100, -3100, 60_000, -60_000]
const TOLERANCE_MS = 700
const RETENTION_SECONDS = 0.5

/** The database keeps the truth by its own clock, which does not step: when each row should go, and how much too early it went. */
const TRUTH = `
  ALTER TABLE objects ADD goes_at timestamptz;
  ALTER TABLE callbacks ADD goes_at timestamptz DEFAULT pg_catalog.clock_timestamp() + interval '${RETENTION_SECONDS} s';
  CREATE TABLE gone (early_ms float8);
  CREATE FUNCTION live() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.goes_at := pg_catalog.clock_timestamp() + (NEW.expires_at - NEW.stored_at); RETURN NEW; END $$;
  CREATE FUNCTION go() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO gone VALUES (extract(epoch FROM OLD.goes_at - pg_catalog.clock_timestamp()) * 1000); RETURN NULL; END $$;
  CREATE TRIGGER live BEFORE INSERT OR UPDATE OF callback_id ON objects FOR EACH ROW EXECUTE FUNCTION live();
  CREATE TRIGGER go AFTER DELETE ON objects FOR EACH ROW EXECUTE FUNCTION go();
  CREATE TRIGGER go AFTER DELETE ON callbacks FOR EACH ROW EXECUTE FUNCTION go()`

describe('replicas that share a clock that steps', function () {
  this.timeout(600_000)
  let storage: TestStorage
  let stepBy: (byMs: number) => Promise<void>
  /** Runs once, when a replica has decided by how much to move the stored times, and before it does. */
  let whileMakingUp: (() => Promise<unknown>) | undefined

  before(async () => {
    storage = await openTestStorage()
    stepBy = (await giveSteppingClock(storage.url)).step
    await storage.query(TRUTH)
  })

  after(() => storage.close())

  function newReplica(prisma: ReturnType<TestStorage['open']>['prisma']) {
    const clock = new DatabaseClock()
    const interrupted = Object.create(prisma, {
      $queryRaw: {
        value: async (...statement: Parameters<typeof prisma.$queryRaw>) => {
          const deed = whileMakingUp
          whileMakingUp = undefined
          await deed?.()
          return prisma.$queryRaw(...statement)
        },
      },
    }) as typeof prisma
    const steps = new ClockSteps({ prisma: interrupted, clock, logger })
    const { store, settings } = newStore({ prisma } as ReturnType<TestStorage['open']>, 30, clock)
    return {
      look: async () => steps.makeUp((await readClusterState(prisma, { clock, maxCrashes: 3 })).clockSteps),
      expire: () => store.deleteExpired(100),
      prune: () => pruneCallbacks({ prisma, clock }, { retentionSeconds: RETENTION_SECONDS, limit: 100 }),
      /** @returns the id of the callback that fetched the object */
      put: async (id: bigint, ttlSeconds: number) => {
        settings.ttlSeconds = ttlSeconds
        const callback = { id: randomUUID(), workspace: 'default' }
        await store.upsert({ id, online: true, leftAtMs: performance.now(), fetchedAtMs: clock.nowMs() }, callback)
        return callback.id
      },
    }
  }

  it(`drop nothing early or late, and no newer answer, in ${PLAYS} plays of ${DEEDS} deeds`, async () => {
    const first = Number(process.env['CLOCK_SEED'] ?? Date.now() % 1_000_000)
    const { prisma } = storage.open({ maxConnections: 4 })
    for (let seed = first; seed < first + PLAYS; seed += 1) {
      await storage.query('TRUNCATE objects, callbacks, gone')
      const deeds = await play(seed, [newReplica(prisma), newReplica(prisma)])
      const told = `CLOCK_SEED=${seed}: ${deeds.join(', ')}`
      const early = await storage.query('SELECT * FROM gone WHERE early_ms > $1', [TOLERANCE_MS])
      assert.deepEqual(early, [], `deleted early. ${told}`)
      const wrong = await storage.query(
        `SELECT * FROM (SELECT id, extract(epoch FROM expires_at - clock_timestamp() - (goes_at - pg_catalog.clock_timestamp()))::float8 * 1000 AS late_ms FROM objects) o
         WHERE abs(late_ms) > $1`,
        [TOLERANCE_MS],
      )
      assert.deepEqual(wrong, [], `will be deleted at the wrong time. ${told}`)
    }
  })

  async function play(seed: number, replicas: ReturnType<typeof newReplica>[]): Promise<string[]> {
    const random = seededRandom(seed)
    const pick = <T>(items: readonly T[]): T => items[between(random, 0, items.length - 1)] as T
    const told: string[] = []
    const latest = new Map<bigint, string>()
    const lookAll = async (): Promise<void> => {
      for (const { look } of [...replicas, ...replicas]) await look()
    }
    const step = async (byMs = pick(STEPS_MS)): Promise<void> => {
      told.push(`[${byMs}]`)
      await stepBy(byMs)
    }
    const deeds: Record<string, (replica: ReturnType<typeof newReplica>) => Promise<unknown>> = {
      look: ({ look }) => look(),
      expire: ({ expire }) => expire(),
      prune: ({ prune }) => prune(),
      finish: () => putCallback(storage, { finishedAgoMs: 0 }),
      put: async ({ put }) => {
        const id = BigInt(between(random, 1, 30))
        latest.set(id, await put(id, pick([0.3, 3, 100])))
        const [row] = await storage.query<{ callback_id: string }>('SELECT callback_id FROM objects WHERE id = $1', [id])
        assert.equal(row?.callback_id, latest.get(id), `CLOCK_SEED=${seed}: a newer answer was dropped after ${told.join(', ')}`)
      },
      step: async () => {
        await lookAll()
        await step()
      },
      'step twice': async ({ expire }) => {
        await lookAll()
        await step()
        if (random() < 0.5) await expire()
        await step()
      },
      'step while making up': async ({ look }) => {
        await lookAll()
        // Not solved: forward after back, because a replica may have seen neither; and a second step back by the age of what has just moved.
        const isBack = random() < 0.5
        whileMakingUp = async () => {
          await step(isBack ? -60_000 : pick([1500, 3100, 60_000, -60_000]))
          for (const { expire } of replicas) if (random() < 0.5) await expire()
        }
        await step(pick(STEPS_MS.filter(byMs => byMs < 0 === isBack)))
        await look()
      },
    }
    const names = Object.keys(deeds)
    await lookAll()
    for (let i = 0; i < DEEDS; i += 1) {
      const name = random() < 0.4 ? 'put' : random() < 0.5 ? pick(['look', 'expire']) : pick(names)
      const number = between(random, 0, replicas.length - 1)
      told.push(`${number} ${name}`)
      await deeds[name]?.(replicas[number] as ReturnType<typeof newReplica>)
    }
    await lookAll()
    return told
  }
})
