import { setTimeout as sleep } from 'node:timers/promises'
import { finished, postCallback, range } from '../../test/support/callbacks.ts'
import type { ServiceProcess } from '../../test/support/service-process.ts'
import { benchmark } from '../support/benchmark.ts'
import { runChild } from '../support/child.ts'
import type { HostileReport, HostileSettings } from '../support/hostile-sockets.ts'
import { callbackOf } from '../support/load.ts'
import { residentMb } from '../support/memory.ts'
import { ascending, percentile } from '../support/percentile.ts'
import { sendAtRate } from '../support/sender.ts'

/** Interval between two liveness checks. The slowest answer shows the longest stall. */
const PING_MS = 20
const SAMPLE_MS = 100
const PAGE = '/v1/objects?limit=1000'

/**
 * Sends honest callbacks beside hostile connections, each attack on a separate service. Each attack has a flag for its size; 0 skips it.
 * The attacks are requests pipelined on one connection per second, connections that send bodies in tiny chunks, and connections that never
 * read an answer.
 */
await benchmark(
  {
    name: 'hostile',
    title: 'honest callbacks beside connections that mean harm',
    page: 'docs/reliability.md',
    settings: { rounds: 1, perSecond: 45, seconds: 8, objects: 1000, pipelined: 3000, crumbs: 100, unread: 10 },
    quick: { seconds: 1, objects: 10, pipelined: 30, crumbs: 2, unread: 2 },
  },
  async ({ settings, callbackService, program, rounds, sample }) => {
    const { perSecond, seconds, objects, pipelined, crumbs, unread } = settings
    const client = await program('bench/support/client-stub.ts')
    const bodyOf = (): string => callbackOf(range(1, 10))
    const send = (service: ServiceProcess) => sendAtRate({ url: service.url, perSecond, seconds, bodyOf })

    const measure = async (name: string, attack: Pick<HostileSettings, 'kind' | 'connections' | 'count' | 'path'>): Promise<void> => {
      const service = await callbackService({ CLIENT_SERVICE_URL: client.url, EXPIRY_TTL_SECONDS: '3600' })
      const { pid = 0, url } = service
      const stored = (await (await postCallback(url, range(1, objects))).json()) as { id: string }
      await finished(url, stored.id)
      await send(service)
      const p99 = (sent: Awaited<ReturnType<typeof send>>): number => percentile(ascending(sent.map(({ ms }) => ms)), 0.99)
      const alone = p99(await send(service))
      const before = (await residentMb(pid)).now
      const running = runChild<HostileSettings, HostileReport>('hostile-sockets.ts', {
        ...attack,
        port: Number(new URL(url).port),
        seconds: seconds + 3,
      })
      const watched = watch(service, running)
      await sleep(1000)
      const beside = await send(service)
      const report = await running
      const { stallMs, mostMb } = await watched
      sample(`${name}: honest callbacks not accepted`, beside.filter(({ status }) => status !== 202).length, { atMost: 0 })
      sample(`${name}: p50 ms`, percentile(ascending(beside.map(({ ms }) => ms)), 0.5))
      sample(`${name}: p99 ms`, p99(beside))
      sample(`${name}: p99, of alone`, p99(beside) / alone, { atMost: 2 })
      sample(`${name}: longest stall, ms`, stallMs, { atMost: 100 })
      sample(`${name}: resident before, MB`, before)
      sample(`${name}: resident, the most, MB`, mostMb)
      sample(`${name}: MB sent`, report.sentMb)
      sample(`${name}: connections closed, of ${report.opened}`, report.closed)
      await service.stop()
    }

    await rounds(async () => {
      if (pipelined > 0) {
        await measure('pages pipelined', { kind: 'pipelined', connections: 1, count: pipelined, path: PAGE })
        const path = '/v1/callbacks/01890a5d-ac96-774b-bcce-b302099a8057'
        await measure('callbacks pipelined', { kind: 'pipelined', connections: 2, count: pipelined, path })
      }
      if (crumbs > 0) await measure('crumbs', { kind: 'crumbs', connections: crumbs, count: 60_000, path: '' })
      if (unread > 0) await measure('unread', { kind: 'unread', connections: unread, count: 250, path: PAGE })
    })
  },
)

/** Watches a service until the attack is over. @returns its longest stall and its largest memory */
async function watch({ url, pid = 0 }: ServiceProcess, attack: Promise<unknown>): Promise<{ stallMs: number; mostMb: number }> {
  let [stallMs, mostMb, isOver] = [0, 0, false]
  const over = attack.finally(() => {
    isOver = true
  })
  const ping = async (): Promise<void> => {
    while (!isOver) {
      const started = performance.now()
      // If the connection is cut, the whole time counts as a stall.
      await fetch(`${url}/livez`).then(
        response => response.arrayBuffer(),
        () => undefined,
      )
      stallMs = Math.max(stallMs, performance.now() - started)
      await sleep(PING_MS)
    }
  }
  const look = async (): Promise<void> => {
    while (!isOver) {
      mostMb = Math.max(mostMb, (await residentMb(pid)).now)
      await sleep(SAMPLE_MS)
    }
  }
  await Promise.all([over, ping(), look()])
  return { stallMs, mostMb }
}
