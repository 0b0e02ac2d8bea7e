import { range } from '../test/support/callbacks.ts'
import { benchmark } from './support/benchmark.ts'
import { callbackOf, load, loadAndCount } from './support/load.ts'

/**
 * Measures how many callbacks per second are durably accepted, compared with the same app that answers 202 without storing.
 * The client service is down, because another benchmark measures fetching.
 */
await benchmark(
  {
    name: 'accept',
    title: 'durable 202s, against the same app answering 202 without storing',
    settings: { rounds: 5, seconds: 6, ids: 100 },
    quick: { rounds: 1, seconds: 1 },
  },
  async ({ settings, databaseUrl, callbackService, program, rounds, sample }) => {
    const { seconds, ids } = settings
    const accepting = await callbackService()
    const answering = await program('bench/support/answer-without-storing.ts', { DATABASE_URL: databaseUrl })
    const body = callbackOf(range(1, ids))
    for (const service of [accepting, answering]) await load({ url: service.url, connections: 64, seconds: Math.min(3, seconds), body })
    await rounds(async () => {
      for (const [connections, least] of [
        [64, 0.55],
        [256, 0.65],
      ] as const) {
        const answer = await load({ url: answering.url, connections, seconds, body })
        const accept = await loadAndCount({ url: accepting.url, connections, seconds, body }, databaseUrl)
        const at = `${connections} connections`
        sample(`${at}: accepted a second`, accept.perSecond)
        sample(`${at}: answered only, a second`, answer.perSecond)
        sample(`${at}: throughput, of answering only`, accept.perSecond / answer.perSecond, { atLeast: least })
        sample(`${at}: accepted, p50 ms`, accept.p50Ms)
        sample(`${at}: accepted, p99 ms`, accept.p99Ms)
        sample(`${at}: p99, of answering only`, accept.p99Ms / answer.p99Ms, { atMost: 4 })
      }
    })
  },
)
