import { setTimeout as sleep } from 'node:timers/promises'
import { range } from '../test/support/callbacks.ts'
import { withClient } from '../test/support/database.ts'
import { until } from '../test/support/eventually.ts'
import type { ServiceProcess } from '../test/support/service-process.ts'
import { benchmark } from './support/benchmark.ts'
import { Completions } from './support/completions.ts'
import { callbackOf, countRows, loadAndCount } from './support/load.ts'
import { residentMb, residentWhile } from './support/memory.ts'
import { sendAtRate } from './support/sender.ts'

const MOST_MB = 250

/**
 * Measures the memory of the callback service after its start, under as many callbacks as it can accept, and when it is idle again. Then it
 * measures it during minutes of a load that the service can handle. In the first part the client service is down, so that the service only
 * accepts. In the second part the client service answers at once, so that the service also fetches, stores and deletes.
 */
await benchmark(
  {
    name: 'memory',
    title: 'resident size of the callback service, in MB',
    settings: { callbacks: 100_000, connections: 64, ids: 100, settleSeconds: 5, quietSeconds: 30, minutes: 10, perSecond: 40 },
    quick: { callbacks: 500, settleSeconds: 1, quietSeconds: 1, minutes: 0.04, perSecond: 10 },
  },
  async ({ settings, databaseUrl, callbackService, program, sample, say }) => {
    const { callbacks, connections, ids, settleSeconds, quietSeconds, minutes, perSecond } = settings

    /** Measures a service under a flood of callbacks. @returns its memory after the start */
    const acceptMany = async (name: string, service: ServiceProcess): Promise<number> => {
      const pid = service.pid as number
      await withClient(databaseUrl, db => db.query('TRUNCATE callbacks, objects'))
      await sleep(settleSeconds * 1000)
      const start = (await residentMb(pid)).now
      sample(`${name}: after the start`, start)
      const body = callbackOf(range(1, ids))
      const seconds = Math.max(1, Math.min(5, callbacks / 1000))
      for (let sent = 0; sent < callbacks; )
        sent += (await loadAndCount({ url: service.url, connections, seconds, body }, databaseUrl)).answers
      say(`${name}: ${await countRows(databaseUrl, 'callbacks')} callbacks accepted`)
      sample(`${name}: after ${callbacks} callbacks`, (await residentMb(pid)).now)
      return start
    }
    const goneQuiet = async (name: string, service: ServiceProcess, start: number): Promise<void> => {
      await sleep(quietSeconds * 1000)
      const { now, most } = await residentMb(service.pid as number)
      sample(`${name}: gone quiet`, now)
      sample(`${name}: gone quiet, of the start`, now / start, { atMost: 1.3 })
      sample(`${name}: the most ever`, most, { atMost: MOST_MB })
    }

    const accepting = await callbackService()
    const acceptingStart = await acceptMany('client service away', accepting)
    await goneQuiet('client service away', accepting, acceptingStart)
    await accepting.stop()

    const stub = await program('bench/support/client-stub.ts')
    const working = await callbackService({ CLIENT_SERVICE_URL: stub.url })
    const workingStart = await acceptMany('client service fast', working)
    await until(() => withClient(databaseUrl, isDrained), 600_000, 'the backlog is worked off')
    say(`${minutes} minutes of ${perSecond} callbacks a second of ${ids} ids`)
    const sending = sendAtRate({
      url: working.url,
      perSecond,
      seconds: minutes * 60,
      bodyOf: index => callbackOf(range(1 + index * ids, ids)),
    })
    const samples = await residentWhile(working.pid as number, sending)
    await Completions.of(databaseUrl, await sending)
    const [first, second] = [mean(samples.slice(0, samples.length / 2)), mean(samples.slice(samples.length / 2))]
    sample(`${minutes} minutes: first half, mean`, first)
    sample(`${minutes} minutes: second half, of the first`, second / first, { atMost: 1.1 })
    await goneQuiet('client service fast', working, workingStart)
  },
)

async function isDrained(db: { query(text: string): Promise<{ rows: { left: string }[] }> }): Promise<boolean> {
  return (await db.query('SELECT count(*) AS left FROM callbacks WHERE finished_at IS NULL')).rows[0]?.left === '0'
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
