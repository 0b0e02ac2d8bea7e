import { range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { benchmark } from './support/benchmark.ts'
import { type Completion, Completions } from './support/completions.ts'
import { callbackOf } from './support/load.ts'
import { sendAtRate } from './support/sender.ts'
import type { Question } from './support/slow-client-stub.ts'

/**
 * Measures how many fetches sharing saves if callbacks want the same few objects, and checks that no callback gets a stale answer.
 *
 * Without sharing, the number of fetches would be exactly callbacks × ids. With free slots the service shares little on purpose: an answer
 * counts for a callback only if its request left after the callback came (docs/decisions/0002). With few slots the requests wait, and one
 * request serves all callbacks that wait for the same object.
 *
 * The objects change every second, and the stub records every request. Each id of each callback must have been requested and answered
 * between the callback's arrival and its end. The stored objects must match the last answers.
 */
await benchmark(
  {
    name: 'sharing',
    title: 'fetches saved when callbacks want the same objects, each answer still fresh for each callback',
    settings: { rounds: 1, minMs: 300, maxMs: 4300, perSecond: 50, seconds: 20, ids: 100, objects: 1000, free: 20_000, scarce: 512 },
    quick: { minMs: 100, maxMs: 400, perSecond: 10, seconds: 2, ids: 50, objects: 100, scarce: 16 },
  },
  async ({ settings, databaseUrl, callbackService, program, rounds, sample }) => {
    const { minMs, maxMs, perSecond, seconds, ids, objects, free, scarce } = settings

    const regime = async (name: string, concurrency: number): Promise<void> => {
      const stub = await program('bench/support/slow-client-stub.ts', { DELAY_MIN_MS: `${minMs}`, DELAY_MAX_MS: `${maxMs}` })
      const service = await callbackService({
        CLIENT_SERVICE_URL: stub.url,
        FETCH_CONCURRENCY: `${concurrency}`,
        EXPIRY_TTL_SECONDS: '600',
      })
      await withClient(databaseUrl, db => db.query('TRUNCATE callbacks, objects'))
      const named = range(0, perSecond * seconds).map(() => pick(ids, objects))
      const sent = await sendAtRate({ url: service.url, perSecond, seconds, bodyOf: index => callbackOf(named[index] ?? []) })
      const completions = await Completions.of(databaseUrl, sent, 300_000)
      await service.stop()
      const questions = (await (await fetch(stub.adminUrl)).json()) as Question[]
      await stub.stop()

      const completionOf = new Map(completions.all.map(completion => [completion.id, completion]))
      const wanted = sent.map(({ id }, i) => ({ completion: completionOf.get(id as string) as Completion, ids: named[i] ?? [] }))
      const stale = countStale(wanted, questions)
      if (stale > 0) throw new Error(`${name}: ${stale} times an id was not asked for while its callback was open`)
      const wrong = await countWrong(databaseUrl, questions)
      if (wrong > 0) throw new Error(`${name}: ${wrong} objects are not stored as the last answer said`)

      const without = sent.length * ids
      sample(`${name}: fetches without sharing`, without)
      sample(`${name}: fetches made`, questions.length)
      sample(`${name}: fetches saved, share`, 1 - questions.length / without)
      sample(`${name}: seconds without sharing, at least`, Math.max(seconds, (without * (minMs + maxMs)) / 2000 / concurrency))
      sample(`${name}: seconds until all were completed`, completions.tookMs / 1000)
      sample(`${name}: completed, p50 ms`, completions.percentileMs(0.5))
      sample(`${name}: completed, p95 ms`, completions.percentileMs(0.95))
      sample(`${name}: unfinished callbacks at the end, of the middle`, completions.growth(seconds))
    }

    await rounds(async () => {
      await regime('slots free', free)
      await regime('slots scarce', scarce)
    })
  },
)

/** Picks `count` different objects from 1 to `objects` at random. */
function pick(count: number, objects: number): number[] {
  const all = range(1, objects)
  return range(0, count).map(() => all.splice(Math.floor(Math.random() * all.length), 1)[0] as number)
}

/** Counts the ids that were not requested and answered between the acceptance and the completion of their callback, by one clock. */
function countStale(wanted: readonly { completion: Completion; ids: readonly number[] }[], questions: readonly Question[]): number {
  const byId = Map.groupBy(questions, ([id]) => id)
  return wanted
    .flatMap(({ completion, ids }) => ids.map(id => ({ completion, asked: byId.get(id) ?? [] })))
    .filter(({ completion, asked }) => !asked.some(question => isFresh(question, completion))).length
}

/** Whether a request lies between acceptance and completion. The stub's times are whole milliseconds, rounded down. */
function isFresh([, cameAtMs, answeredAtMs]: Question, { receivedAtMs, finishedAtMs }: Completion): boolean {
  return cameAtMs >= Math.floor(receivedAtMs) && answeredAtMs > 0 && answeredAtMs <= finishedAtMs
}

/** Counts the stored objects that differ from the last answer. */
async function countWrong(databaseUrl: string, questions: readonly Question[]): Promise<number> {
  const last = new Map(questions.map(([id, , , isOnline]) => [id, isOnline]))
  const { rows } = await withClient(databaseUrl, db => db.query('SELECT id, online FROM objects'))
  if (rows.length !== last.size) throw new Error(`${last.size} objects were asked for, ${rows.length} stored`)
  return rows.filter(row => last.get(Number(row.id)) !== row.online).length
}
