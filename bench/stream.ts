import { setTimeout as sleep } from 'node:timers/promises'
import { range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { until } from '../test/support/eventually.ts'
import type { ServiceProcess } from '../test/support/service-process.ts'
import { benchmark } from './support/benchmark.ts'
import { allFinished, emptyDatabase, timeToFinish } from './support/completion-time.ts'
import { callbackOf, load } from './support/load.ts'
import { residentMb } from './support/memory.ts'
import { ascending, percentile } from './support/percentile.ts'
import { cpuMicroseconds } from './support/process-cpu.ts'
import { type HeardChange, IdleListeners, Listeners } from './support/stream-listeners.ts'

/**
 * Measures how long a change takes from its commit to a listener, with many listeners on several replicas, and what that costs the replicas. The time
 * runs from `finished_at`, which the statement writes just before its commit. Every listener must hear of every callback, or the benchmark
 * fails. Then it compares accepting, and the time from the POST to the last completion, with and without listeners, in the order A B A B.
 * The listeners run in this process, on the same cores; those of the comparison only read.
 */
await benchmark(
  {
    name: 'stream',
    title: 'listeners on three replicas: delay, cost, and what is left for callbacks',
    settings: { rounds: 4, clients: 500, replicas: 3, perSecond: 100, seconds: 10, loadSeconds: 3, callbacks: 3000, ids: 10 },
    quick: { rounds: 1, clients: 20, replicas: 2, perSecond: 20, seconds: 2, loadSeconds: 1, callbacks: 100 },
  },
  async ({ settings, databaseUrl, callbackService, program, rounds, sample, onEnd }) => {
    const { clients, perSecond, seconds, loadSeconds, callbacks, ids } = settings
    const stub = await program('bench/support/client-stub.ts')
    const env = { CLIENT_SERVICE_URL: stub.url, HTTP_MAX_CONNECTIONS: '10000' }
    const replicas = await Promise.all(range(0, settings.replicas).map(() => callbackService(env)))
    const body = callbackOf(range(1, ids))
    const listeners = new Listeners()
    const idle = new IdleListeners()
    onEnd(() => listeners.close())
    onEnd(() => idle.close())
    const cpu = (): number => replicas.reduce((sum, { pid }) => sum + cpuMicroseconds(pid as number), 0)
    const memory = async (): Promise<number> =>
      (await Promise.all(replicas.map(({ pid }) => residentMb(pid as number)))).reduce((sum, { now }) => sum + now, 0) / replicas.length
    const steady = async (): Promise<number> => {
      const before = cpu()
      const share = { connections: 4, seconds, body, rate: Math.ceil(perSecond / replicas.length) }
      await Promise.all(replicas.map(({ url }) => load({ url, ...share })))
      await allFinished(databaseUrl)
      return (cpu() - before) / seconds / 10_000
    }

    await rounds(async () => {
      await emptyDatabase(databaseUrl)
      const [quietCpu, quietMb] = [await steady(), await memory()]
      await emptyDatabase(databaseUrl)
      await listeners.open(replicas, clients)
      const heard: HeardChange[] = []
      listeners.onChange = change => heard.push(change)
      const busyCpu = await steady()
      const ended = await idsOf(databaseUrl)
      await until(() => listeners.haveHeard(ended), 10_000, `every listener heard of ${ended.length} callbacks`)
      listeners.onChange = () => undefined
      const delays = ascending(heard.flatMap(({ delayMs }) => delayMs ?? []))
      sample('changes that a listener heard a second', heard.length / clients / seconds)
      sample('from the commit to a listener, p50, ms', percentile(delays, 0.5))
      sample('from the commit to a listener, p95, ms', percentile(delays, 0.95), { atMost: 500 })
      sample('gaps', 0, { atMost: 0 })
      sample('CPU of all replicas, without listeners, % of a core', quietCpu)
      sample('CPU of all replicas, with listeners, % of a core', busyCpu)
      sample('memory of a replica, without listeners, MB', quietMb)
      sample('memory of a replica, with listeners, MB', await memory())
      listeners.close()

      const sides = { without: { accepted: 0, ms: 0 }, with: { accepted: 0, ms: 0 } }
      for (const side of ['without', 'with', 'without', 'with'] as const) {
        await emptyDatabase(databaseUrl)
        if (side === 'with') await idle.open(replicas, clients)
        const [{ url }] = replicas as [ServiceProcess]
        sides[side].ms += await timeToFinish(databaseUrl, url, callbacks, body)
        sides[side].accepted += (await load({ url, connections: 64, seconds: loadSeconds, body })).answers
        idle.close()
        await allFinished(databaseUrl)
        await sleep(500)
      }
      sample('accepted a second with listeners, of those without', sides.with.accepted / sides.without.accepted, { atLeast: 0.85 })
      sample('finished a second with listeners, of those without', sides.without.ms / sides.with.ms, { atLeast: 0.85 })
    })
  },
)

function idsOf(databaseUrl: string): Promise<string[]> {
  return withClient(databaseUrl, async db => (await db.query<{ id: string }>('SELECT id FROM callbacks')).rows.map(({ id }) => id))
}
