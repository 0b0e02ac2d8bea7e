import { setTimeout as sleep } from 'node:timers/promises'
import { browser, closeBrowser } from '../test/page/support/browser.ts'
import { findChromium, HOW_TO_GET_CHROMIUM } from '../test/page/support/chromium.ts'
import { Visits } from '../test/page/support/visits.ts'
import { Vitals } from '../test/page/support/vitals.ts'
import { range } from '../test/support/callbacks.ts'
import { benchmark } from './support/benchmark.ts'
import { allFinished, emptyDatabase, timeToFinish } from './support/completion-time.ts'
import { callbackOf, load, loadBeyondLimit } from './support/load.ts'
import { PageClients } from './support/page-clients.ts'
import { ascending, percentile } from './support/percentile.ts'
import { cpuMicroseconds } from './support/process-cpu.ts'

const VIEWS = ['now', 'callbacks'] as const
/** Time in which a page fills the tables and plots that it keeps. */
const FILL_SHARE = 0.1

/**
 * Measures the live page while callbacks arrive at a steady rate: its frames, its memory and its CPU time, in Chromium without a GPU, on the cores
 * of the service. Then it compares accepting, finishing and CPU time without and with open pages, in the order A B A B. The pages of that
 * comparison are clients that only read, because a browser would take the cores from the service.
 */
await benchmark(
  {
    name: 'page',
    title: 'the live page under load, and what an open page costs the service',
    settings: { rounds: 6, minutes: 10, perMinute: 10_000, loadSeconds: 5, callbacks: 4000, ids: 10, pages: 1 },
    quick: { rounds: 1, minutes: 0.1, loadSeconds: 1, callbacks: 100 },
  },
  async ({ settings, databaseUrl, callbackService, program, rounds, sample, say, onEnd }) => {
    const { minutes, perMinute, loadSeconds, callbacks, ids, pages } = settings
    const stub = await program('bench/support/client-stub.ts')
    const service = await callbackService({ CLIENT_SERVICE_URL: stub.url })
    const body = callbackOf(range(1, ids))
    const clients = new PageClients()
    onEnd(() => clients.close())
    onEnd(closeBrowser)

    let refused = 0

    /** @returns CPU of the service, in % of a core */
    const steadily = async (seconds: number): Promise<number> => {
      const before = cpuMicroseconds(service.pid as number)
      refused += (await loadBeyondLimit({ url: service.url, connections: 4, seconds, body, rate: Math.round(perMinute / 60) })).refused
      return (cpuMicroseconds(service.pid as number) - before) / seconds / 10_000
    }

    const underLoad = async (): Promise<void> => {
      const part = (minutes * 60) / 2
      sample('CPU of the service, no page open, % of a core', await steadily(Math.min(60, part)))
      const visits = new Visits(await browser())
      const opened: { view: string; vitals: Vitals; frames: () => Promise<number[]> }[] = []
      for (const view of VIEWS) {
        const vitals = new Vitals(await visits.openPage(service.adminUrl, `#/${view}`))
        opened.push({ view, vitals, frames: await vitals.watchFrames() })
      }
      const [{ vitals: first }] = opened as [(typeof opened)[number]]
      await steadily(Math.ceil(part * 2 * FILL_SHARE))
      for (const { frames } of opened) await frames()
      const heaps = async (): Promise<number[]> => Promise.all(opened.map(({ vitals }) => vitals.heapMb()))
      const [start, cpuBefore] = [await heaps(), await first.cpuSeconds()]
      const firstHalf = await steadily(part)
      const middle = await heaps()
      const secondHalf = await steadily(part)
      const end = await heaps()
      sample('CPU of the service, both views open, % of a core', (firstHalf + secondHalf) / 2)
      // Some 100,000 in ten minutes. There is no spool: a commit that takes longer than 1.5 s is a 503.
      sample('callbacks answered with 503', refused, { atMost: 0 })
      sample('CPU of Chromium with both views, % of a core', ((await first.cpuSeconds()) - cpuBefore) / (2 * part) / 0.01)
      for (const [index, { view, frames }] of opened.entries()) {
        const counts = ascending(await frames())
        sample(`${view}: frames a second, p50`, percentile(counts, 0.5))
        sample(`${view}: frames a second, p5`, percentile(counts, 0.05), { atLeast: 30 })
        sample(`${view}: frames a second, minimum`, percentile(counts, 0))
        sample(`${view}: JavaScript heap after ${FILL_SHARE * 100} % of the time before, MB`, start[index] as number)
        sample(`${view}: JavaScript heap in the middle, MB`, middle[index] as number)
        sample(`${view}: JavaScript heap at the end, MB`, end[index] as number)
        sample(`${view}: heap at the end, of that in the middle`, (end[index] as number) / (middle[index] as number), { atMost: 1.1 })
      }
      await visits.end()
      await closeBrowser()
      await allFinished(databaseUrl)
    }

    /** Accepts and finishes callbacks twice with and twice without open pages. @returns what it takes with them, of what it takes without */
    const compared = async (): Promise<{ accepted: number; finished: number; cpu: number }> => {
      const sides = { without: { accepted: 0, ms: 0, cpu: 0 }, with: { accepted: 0, ms: 0, cpu: 0 } }
      for (const side of ['without', 'with', 'without', 'with'] as const) {
        await emptyDatabase(databaseUrl)
        if (side === 'with') await clients.open(service, pages)
        const before = cpuMicroseconds(service.pid as number)
        const ms = await timeToFinish(databaseUrl, service.url, callbacks, body)
        const cpu = cpuMicroseconds(service.pid as number) - before
        const { answers } = await load({ url: service.url, connections: 64, seconds: loadSeconds, body })
        sides[side] = { accepted: sides[side].accepted + answers, ms: sides[side].ms + ms, cpu: sides[side].cpu + cpu }
        if (side === 'with') await clients.close()
        await allFinished(databaseUrl)
        await sleep(500)
      }
      return {
        accepted: sides.with.accepted / sides.without.accepted,
        finished: sides.without.ms / sides.with.ms,
        cpu: sides.with.cpu / sides.without.cpu,
      }
    }

    const hasBrowser = findChromium() !== undefined
    if (hasBrowser) await underLoad()
    else say(`Left out: what the page costs a browser. To measure it, ${HOW_TO_GET_CHROMIUM}.`)
    await rounds(async () => {
      const { accepted, finished, cpu } = await compared()
      sample('accepted a second with an open page, of none', accepted, { atLeast: 0.97 })
      sample('finished a second with an open page, of none', finished, { atLeast: 0.97 })
      sample('CPU of the service for the same callbacks, with an open page, of none', cpu, { atMost: 1.03 })
    })
  },
)
