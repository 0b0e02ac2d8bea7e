import { range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { benchmark } from './support/benchmark.ts'
import { Completions } from './support/completions.ts'
import { callbackOf } from './support/load.ts'
import { ascending, percentile } from './support/percentile.ts'
import { type Sent, sendAtRate } from './support/sender.ts'

/**
 * Compares what each 202 said with what happened: `eta_ms` with the time until the callback was finished, and `backlog` with the callbacks
 * that were unfinished. The client service is slow, and the requests under way bound how much is done. One part sends so much that workers
 * are free, the other so much that a backlog grows. Three replicas share the requests under way and the callbacks.
 */
await benchmark(
  {
    name: 'eta',
    title: 'how far eta_ms and backlog are from what happens',
    settings: { rounds: 3, replicas: 3, seconds: 15, warmUpSeconds: 8, minMs: 100, maxMs: 1400, concurrency: 300, maxIds: 20 },
    quick: { rounds: 1, replicas: 2, seconds: 3, warmUpSeconds: 1, minMs: 20, maxMs: 300, concurrency: 40 },
  },
  async ({ settings, databaseUrl, callbackService, program, rounds, sample, say }) => {
    const { replicas, seconds, warmUpSeconds, minMs, maxMs, concurrency, maxIds } = settings
    const stub = await program('bench/support/slow-client-stub.ts', { DELAY_MIN_MS: `${minMs}`, DELAY_MAX_MS: `${maxMs}` })
    const mostPerSecond = concurrency / ((minMs + maxMs) / 2000) / ((maxIds + 1) / 2)
    let nextId = 1

    const bodyOf = (): string => {
      const count = 1 + Math.floor(Math.random() * maxIds)
      nextId += count
      return callbackOf(range(nextId - count, count))
    }

    const measure = async (name: string, count: number, perSecond: number): Promise<void> => {
      await withClient(databaseUrl, db => db.query('TRUNCATE callbacks, objects'))
      const services = await Promise.all(
        range(1, count).map(() =>
          callbackService({ CLIENT_SERVICE_URL: stub.url, FETCH_CONCURRENCY: `${Math.floor(concurrency / count)}` }),
        ),
      )
      say(`${name}: ${perSecond.toFixed(1)} callbacks a second`)
      const sent = await Promise.all(
        services.map(({ url }) => sendAtRate({ url, perSecond: perSecond / count, seconds: warmUpSeconds + seconds, bodyOf })),
      )
      const judged = await judge(databaseUrl, sent.flat(), warmUpSeconds * 1000)
      await Promise.all(services.map(service => service.stop()))
      const known = judged.filter(({ etaError }) => etaError !== undefined)
      const errors = ascending(known.map(({ etaError }) => etaError as number))
      sample(`${name}: error of eta_ms, median`, percentile(errors, 0.5), { atMost: 0.3 })
      sample(`${name}: error of eta_ms, p90`, percentile(errors, 0.9))
      sample(`${name}: answers without eta_ms`, 1 - known.length / judged.length)
      const backlogs = ascending(judged.map(({ backlogError }) => backlogError))
      sample(`${name}: error of backlog, median`, percentile(backlogs, 0.5))
      sample(`${name}: time to the end, median, ms`, percentile(ascending(judged.map(({ tookMs }) => tookMs)), 0.5))
    }

    await rounds(async () => {
      for (const count of [1, replicas]) {
        const where = count === 1 ? 'one replica' : `${count} replicas`
        await measure(`60 % load, ${where}`, count, 0.6 * mostPerSecond)
        await measure(`overload, ${where}`, count, 1.5 * mostPerSecond)
      }
    })
  },
)

/** An accepted callback, with how far its forecast was from the truth, as a share of it. */
interface Judged {
  readonly tookMs: number
  /** Undefined if the answer had no `eta_ms`. */
  readonly etaError: number | undefined
  readonly backlogError: number
}

/** Judges the callbacks that were received after the first `warmUpMs`. */
async function judge(databaseUrl: string, sent: readonly Sent[], warmUpMs: number): Promise<Judged[]> {
  const { all } = await Completions.of(databaseUrl, sent)
  const forecasts = new Map(sent.map(({ id, forecast }) => [id, forecast]))
  const received = all.map(({ receivedAtMs }) => receivedAtMs)
  const finished = ascending(all.map(({ finishedAtMs }) => finishedAtMs))
  return all
    .filter(({ receivedAtMs }) => receivedAtMs >= (received[0] as number) + warmUpMs)
    .map(({ id, receivedAtMs, finishedAtMs }) => {
      const { backlog, etaMs } = forecasts.get(id) ?? { backlog: null, etaMs: null }
      const tookMs = finishedAtMs - receivedAtMs
      const trueBacklog = below(received, receivedAtMs) - below(finished, receivedAtMs)
      return {
        tookMs,
        etaError: etaMs === null ? undefined : Math.abs(etaMs - tookMs) / tookMs,
        backlogError: Math.abs((backlog ?? 0) - trueBacklog) / Math.max(1, trueBacklog),
      }
    })
}

/** @param sorted ascending @returns how many values are below the limit */
function below(sorted: readonly number[], limit: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as number) < limit) low = middle + 1
    else high = middle
  }
  return low
}
