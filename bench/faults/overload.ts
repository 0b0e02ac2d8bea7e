import { range } from '../../test/support/callbacks.ts'
import { benchmark } from '../support/benchmark.ts'
import { runChild } from '../support/child.ts'
import { watchCpus } from '../support/cpu-share.ts'
import type { Answers, FloodReport, FloodSettings } from '../support/flood.ts'
import { callbackOf, countRows } from '../support/load.ts'
import { residentMb } from '../support/memory.ts'

const FACTORS = [2, 5] as const
const NONE: Answers = { count: 0, perSecond: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 }

/**
 * Sends more callbacks than the service can accept. The maximum is the rate of 64 connections that each wait for their answers. Then twice
 * and five times as many are sent per second, without waiting. Only callbacks answered during the sending count as accepted. After that,
 * the same connections, and 64, send to a service whose inbox is full and which refuses everything. The client service is down, because
 * another benchmark measures fetching. The sender is cheap, but shares the machine with the service.
 */
await benchmark(
  {
    name: 'overload',
    title: 'twice and five times what can be taken',
    page: 'docs/reliability.md',
    settings: { rounds: 3, seconds: 12, warmSeconds: 3, ids: 10, connections: 2000 },
    quick: { rounds: 1, seconds: 1, warmSeconds: 0.2 },
  },
  async ({ settings, databaseUrl, callbackService, rounds, sample, say }) => {
    const { seconds, warmSeconds, ids, connections } = settings
    // More than a million callbacks may wait for the client service here.
    const service = await callbackService({ INBOX_MAX_BACKLOG: '1000000000' })
    const full = await callbackService({ INBOX_MAX_BACKLOG: '1' })
    const { pid = 0 } = service
    const flood = async (load: Pick<FloodSettings, 'perSecond' | 'connections'>, url = service.url): Promise<FloodReport> => {
      const port = Number(new URL(url).port)
      const before = await countRows(databaseUrl, 'callbacks')
      const report = await runChild<FloodSettings, FloodReport>('flood.ts', {
        port,
        seconds,
        warmSeconds,
        body: callbackOf(range(1, ids)),
        ...load,
      })
      const stored = (await countRows(databaseUrl, 'callbacks')) - before
      const accepted = report.answers['202']?.count ?? 0
      if (stored < accepted) throw new Error(`${accepted} callbacks were answered with 202, ${stored} stored`)
      return report
    }

    await flood({ connections: 64 })
    sample('resident before, MB', (await residentMb(pid)).now)
    await rounds(async () => {
      const most = ((await flood({ connections: 64 })).answers['202'] ?? NONE).perSecond
      sample('the most: accepted a second', most)
      for (const factor of FACTORS) {
        const busy = watchCpus()
        const { sent, unsent, cut, unanswered, answers } = await flood({ perSecond: factor * most, connections })
        const { 202: accepted = NONE, 503: refused = NONE } = answers
        const due = sent + unsent
        sample(`${factor} ×: accepted, of the most`, accepted.perSecond / most, { atLeast: 0.9 })
        sample(`${factor} ×: accepted, p50 ms`, accepted.p50Ms)
        sample(`${factor} ×: accepted, p99 ms`, accepted.p99Ms)
        sample(`${factor} ×: refused with 503, of what was due`, refused.count / due)
        sample(`${factor} ×: not sent, all connections waiting, of what was due`, unsent / due)
        sample(`${factor} ×: cut or without an answer, of what was due`, (cut + unanswered) / due)
        sample(`${factor} ×: machine busy`, busy())
        say(`${factor} ×: ${JSON.stringify({ due, sent, unsent, cut, unanswered, answers })}`)
      }
      sample('resident after, MB', (await residentMb(pid)).now)
      for (const each of [64, connections]) {
        const { 202: accepted = NONE, 503: refused = NONE } = (await flood({ connections: each }, full.url)).answers
        sample(`inbox full, ${each} connections: accepted`, accepted.count, { atMost: 0 })
        sample(`inbox full, ${each} connections: refused a second`, refused.perSecond)
        sample(`inbox full, ${each} connections: refused, p50 ms`, refused.p50Ms)
        sample(`inbox full, ${each} connections: refused, p99 ms`, refused.p99Ms, { atMost: 100 })
      }
    })
    sample('resident, the most, MB', (await residentMb(pid)).most)
  },
)
