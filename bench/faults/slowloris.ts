import { setTimeout as sleep } from 'node:timers/promises'
import { range, readMetrics } from '../../test/support/callbacks.ts'
import { benchmark } from '../support/benchmark.ts'
import { runChild } from '../support/child.ts'
import type { FloodReport, FloodSettings } from '../support/flood.ts'
import { callbackOf } from '../support/load.ts'
import { residentMb } from '../support/memory.ts'
import { ascending, percentile } from '../support/percentile.ts'
import { sendAtRate } from '../support/sender.ts'
import type { SlowSocketsReport, SlowSocketsSettings } from '../support/slow-sockets.ts'

/** Length of a header line, close to the longest that Node accepts. */
const HEADER_BYTES = 15_000

/**
 * Sends honest callbacks beside thousands of connections that send headers slowly, send a body slowly, or send nothing. Each is replaced
 * when it is closed. Then it sends as many requests with 15 KB of headers. It compares the honest callbacks with those without an attack,
 * in the same round.
 */
await benchmark(
  {
    name: 'slowloris',
    title: 'honest callbacks beside thousands of connections that trickle',
    page: 'docs/reliability.md',
    settings: { rounds: 3, sockets: 5000, perSecond: 100, seconds: 20, holdSeconds: 15, floodPerSecond: 500 },
    quick: { rounds: 1, sockets: 300, seconds: 1, holdSeconds: 1 },
  },
  async ({ settings, callbackService, program, rounds, sample }) => {
    const { sockets, perSecond, seconds, holdSeconds, floodPerSecond } = settings
    const client = await program('bench/support/client-stub.ts')
    const service = await callbackService({ CLIENT_SERVICE_URL: client.url })
    const { pid = 0 } = service
    const port = Number(new URL(service.url).port)
    const body = callbackOf(range(1, 10))
    const cpuSeconds = async (): Promise<number> => (await readMetrics(service.adminUrl)).total('process_cpu_seconds_total')
    /** Sends honest callbacks and records samples. @returns p99 @throws {Error} a callback was not accepted */
    const sendHonestly = async (how: string): Promise<number> => {
      const cpu = await cpuSeconds()
      const sent = await sendAtRate({ url: service.url, perSecond, seconds, bodyOf: () => body })
      const refused = sent.filter(({ status }) => status !== 202).length
      if (refused > 0) throw new Error(`${how}: ${refused} honest callbacks were not accepted`)
      const ms = ascending(sent.map(each => each.ms))
      sample(`${how}: p50 ms`, percentile(ms, 0.5))
      sample(`${how}: p99 ms`, percentile(ms, 0.99))
      sample(`${how}: CPU of the service, cores`, ((await cpuSeconds()) - cpu) / seconds)
      return percentile(ms, 0.99)
    }
    await sendAtRate({ url: service.url, perSecond, seconds, bodyOf: () => body })
    await rounds(async () => {
      const alone = await sendHonestly('alone')
      const attack = runChild<SlowSocketsSettings, SlowSocketsReport>('slow-sockets.ts', {
        port,
        sockets,
        seconds: seconds + 2,
        holdSeconds,
      })
      await sleep(2000)
      const beside = await sendHonestly('beside slow connections')
      const resident = (await residentMb(pid)).now
      const { opened, longestMs, left } = await attack
      sample('beside slow connections: p99, of alone', beside / alone, { atMost: 2 })
      sample('slow connections opened', opened)
      sample('slow connections: the longest life, s', longestMs / 1000, { atMost: 12 })
      sample('slow connections that were not closed', left, { atMost: 0 })
      sample('resident meanwhile, MB', resident)

      const flood = runChild<FloodSettings, FloodReport>('flood.ts', {
        port,
        perSecond: floodPerSecond,
        seconds: seconds + 1,
        warmSeconds: 0.5,
        body,
        headerBytes: HEADER_BYTES,
        connections: 1000,
      })
      await sleep(500)
      await sendHonestly('beside large headers')
      sample('large headers answered a second', (await flood).answers['202']?.perSecond ?? 0)
    })
  },
)
