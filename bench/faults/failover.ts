import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { range, readMetrics } from '../../test/support/callbacks.ts'
import { withClient } from '../../test/support/database.ts'
import { until } from '../../test/support/eventually.ts'
import type { ServiceProcess } from '../../test/support/service-process.ts'
import { answeredAtMs } from '../support/acceptance-order.ts'
import { benchmarkBeside } from '../support/benchmark.ts'
import { watchCpus } from '../support/cpu-share.ts'
import { type Cluster, withCluster } from '../support/failover/cluster.ts'
import { FAULTS, type Fault } from '../support/failover/faults.ts'
import { Traffic } from '../support/failover/traffic.ts'
import { judge, readRows } from '../support/failover/verdict.ts'
import { ascending, percentile } from '../support/percentile.ts'

const REPLICAS = 3
const POLL_MS = 200
const DRAINED_TIMEOUT_MS = 120_000

/** A fault that was made. Times are epoch milliseconds. */
interface Inflicted {
  readonly name: string
  readonly atMs: number
  /** When the standby accepted writes; undefined if it stayed a standby. */
  readonly promotedAtMs: number | undefined
  readonly healedAtMs: number
}

/**
 * Kills, freezes and switches the primary and the standby of a highly available PostgreSQL (Patroni, etcd, HAProxy). Meanwhile there is
 * steady traffic to three replicas, with and without spools. The settings come from deploy/ha, and the checker of the chaos runs gives the
 * verdict.
 */
await benchmarkBeside(
  withCluster,
  {
    name: 'failover',
    title: 'a PostgreSQL that fails over to its synchronous standby',
    page: 'docs/reliability.md',
    settings: {
      faults: 10,
      faultsWithoutSpool: 7,
      perSecond: 300,

      ids: 5,
      holdSeconds: 3,
      standbySeconds: 10,
      quietSeconds: 2,
    },
    quick: { faults: 2, faultsWithoutSpool: 2, perSecond: 50 },
  },
  async ({ settings, databaseUrl, postgres: cluster, callbackService, program, onEnd, sample, say }) => {
    const { perSecond, ids, quietSeconds } = settings
    const folder = await mkdtemp(join(tmpdir(), 'answerback-spools-'))
    onEnd(() => rm(folder, { recursive: true }))
    const client = await program('bench/support/client-stub.ts')

    for (const hasSpool of [true, false]) {
      const [what, faults] = hasSpool ? ['spool', settings.faults] : ['no spool', settings.faultsWithoutSpool]
      if (faults === 0) continue
      await withClient(databaseUrl, db => db.query('TRUNCATE callbacks, objects'))
      const replicas = await Promise.all(
        range(0, REPLICAS).map(replica =>
          callbackService({ CLIENT_SERVICE_URL: client.url, SPOOL_PATH: hasSpool ? join(folder, `${replica}.sqlite`) : '' }),
        ),
      )
      const traffic = new Traffic({ urls: replicas.map(({ url }) => url), perSecond, ids })
      const inflicted: Inflicted[] = []
      const busy = watchCpus()
      for (const index of range(0, faults)) {
        await sleep(quietSeconds * 1000)
        const fault = FAULTS[index % FAULTS.length] as Fault
        const done = await inflict(fault, cluster, settings)
        inflicted.push(done)
        const after = (): string => seconds(Date.now() - done.atMs)
        await Promise.all(replicas.map(replica => replica.ready()))
        const readyAfter = after()
        await drained(replicas)
        const healedAfter = seconds(done.healedAtMs - done.atMs)
        say(
          `${what}, ${index + 1} of ${faults}, ${fault.name}: whole after ${healedAfter} s, ready after ${readyAfter} s, drained after ${after()} s`,
        )
      }
      await sleep(quietSeconds * 1000)
      const sent = await traffic.stop()
      await drained(replicas)
      await finished(databaseUrl)

      const answers = sent.flatMap(each => each.answers)
      const refused = answers.filter(({ status }) => status !== 202)
      const ms = ascending(answers.map(answer => answer.ms))
      sample(`${what}: sent`, answers.length)
      sample(`${what}: not answered with 202`, refused.length, hasSpool ? { atMost: 0 } : undefined)
      if (hasSpool) sample(`${what}: kept in the spool first`, await total(replicas, 'callbacks_spooled_total'))
      sample(`${what}: answered, p99 ms`, percentile(ms, 0.99))
      sample(`${what}: answered, the slowest, ms`, percentile(ms, 1), { atMost: 2000 })
      sample(`${what}: machine busy`, busy())
      for (const [answer, all] of Map.groupBy(refused, ({ status, reason }) => `${status} ${reason}`)) {
        const tookMs = ascending(all.map(each => each.ms))
        const took = `answered after ${seconds(percentile(tookMs, 0))} to ${seconds(percentile(tookMs, 1))} s`
        say(`${what}: ${all.length} × ${answer}, ${took}; ${whenOf(all.map(answeredAtMs), inflicted)}`)
      }

      const rows = await readRows(databaseUrl)
      const { violations, recovered } = judge(sent, rows, say)
      if (Object.values(violations).some(count => count > 0)) throw new Error(`${what}: ${JSON.stringify(violations)}`)
      for (const [name, count] of Object.entries(violations)) sample(`${what}: ${name}`, count, { atMost: 0 })
      sample(`${what}: stored although not answered with 202`, recovered)

      const accepts = answers.filter(({ status }) => status === 202).map(answeredAtMs)
      const completions = ascending(rows.map(row => row.finishedAtMs))
      const resumed: number[] = []
      for (const { name, atMs, promotedAtMs, healedAtMs } of inflicted) {
        if (promotedAtMs === undefined) {
          sample(`${what}, ${name}: nothing completed for, s`, longestGapMs(completions, atMs, healedAtMs) / 1000)
        } else {
          const firstAtMs = completions.find(at => at > promotedAtMs) ?? Number.POSITIVE_INFINITY
          resumed.push((firstAtMs - promotedAtMs) / 1000)
          sample(`${what}, ${name}: new primary after, s`, (promotedAtMs - atMs) / 1000)
          sample(`${what}, ${name}: first callback completed after that, s`, (firstAtMs - promotedAtMs) / 1000)
        }
        if (!hasSpool) sample(`${what}, ${name}: no 202 for, s`, longestGapMs(accepts, atMs, healedAtMs) / 1000)
      }
      sample(`${what}: first callback completed after a new primary, the latest, s`, Math.max(...resumed), { atMost: 5 })
      await Promise.all(replicas.map(replica => replica.stop()))
    }
  },
)

/** Makes a fault. Resolves when the fault is over and the cluster is healthy again. */
async function inflict(
  fault: Fault,
  cluster: Cluster,
  { holdSeconds, standbySeconds }: { holdSeconds: number; standbySeconds: number },
): Promise<Inflicted> {
  const roles = await cluster.healthy()
  const atMs = Date.now()
  const promoted = fault.movesPrimary ? roles.standby.promoted().then(() => Date.now()) : undefined
  const [promotedAtMs] = await Promise.all([promoted, fault.inflict(roles, cluster)])
  await sleep((fault.movesPrimary ? holdSeconds : standbySeconds) * 1000)
  fault.heal(roles)
  await cluster.healthy()
  return { name: fault.name, atMs, promotedAtMs, healedAtMs: Date.now() }
}

/** Resolves when each spool has been empty once. Under constant traffic, they may never all be empty at the same moment. */
function drained(replicas: readonly ServiceProcess[]): Promise<unknown> {
  const isDrained = async ({ adminUrl }: ServiceProcess): Promise<boolean> => {
    await sleep(POLL_MS)
    return (await readMetrics(adminUrl)).total('spool_callbacks') === 0
  }
  return Promise.all(replicas.map(replica => until(() => isDrained(replica), DRAINED_TIMEOUT_MS, 'the spool is drained')))
}

async function total(replicas: readonly ServiceProcess[], metric: string): Promise<number> {
  const totals = await Promise.all(replicas.map(async ({ adminUrl }) => (await readMetrics(adminUrl)).total(metric)))
  return totals.reduce((sum, each) => sum + each, 0)
}

function finished(databaseUrl: string): Promise<unknown> {
  return withClient(databaseUrl, db =>
    until(async () => (await db.query('SELECT FROM callbacks WHERE finished_at IS NULL LIMIT 1')).rowCount === 0, 120_000),
  )
}

/** Returns the longest time without one of these moments between `fromMs` and `toMs`. */
function longestGapMs(timesMs: readonly number[], fromMs: number, toMs: number): number {
  const inside = ascending(timesMs.filter(at => at > fromMs && at < toMs))
  const ends = [...inside, toMs]
  return Math.max(...ends.map((at, index) => at - (inside[index - 1] ?? fromMs)))
}

/** Says for each fault how many of these moments followed it, and how long after its beginning. */
function whenOf(timesMs: readonly number[], inflicted: readonly Inflicted[]): string {
  const parts = inflicted.flatMap(({ name, atMs, healedAtMs }, index) => {
    const after = ascending(timesMs.filter(at => at >= atMs && at < (inflicted[index + 1]?.atMs ?? Number.POSITIVE_INFINITY)))
    if (after.length === 0) return []
    return [
      `${after.length} of them ${seconds((after[0] ?? 0) - atMs)} to ${seconds((after.at(-1) ?? 0) - atMs)} s after "${name}" (${seconds(healedAtMs - atMs)} s)`,
    ]
  })
  return parts.join('; ')
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}
