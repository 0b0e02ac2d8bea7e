import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { postCallback, range } from '../../test/support/callbacks.ts'
import { withClient } from '../../test/support/database.ts'
import { until } from '../../test/support/eventually.ts'
import { ServiceProcess } from '../../test/support/service-process.ts'
import { callbackOf, load } from './load.ts'
import { ascending, percentile } from './percentile.ts'
import { withPostgres } from './postgres.ts'

/**
 * `node bench/support/compare.ts --base=HEAD~5 --starts=6` compares this checkout with an earlier commit in one run, in the order A B B A.
 * It prints how many callbacks per second each accepts, how many objects per second each fetches and stores, and the ratios. On another
 * machine the figures differ, but the ratios hold. Each side is started several times, because one of two processes with the same code may
 * be 10 % faster for its whole life.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const IDS = 100
const run = promisify(execFile)

interface Side {
  readonly name: 'before' | 'now'
  readonly service: ServiceProcess
  readonly databaseUrl: string
}

const { values } = parseArgs({
  options: {
    base: { type: 'string', default: 'HEAD~1' },
    starts: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '2' },
    objects: { type: 'string', default: '20000' },
  },
})
const [starts, rounds, seconds, objects] = [values.starts, values.rounds, values.seconds, values.objects].map(Number) as [
  number,
  number,
  number,
  number,
]
const MEASURES = { 'accepted a second': accepted, 'objects a second': fetched }

const checkout = await mkdtemp(join(tmpdir(), 'answerback-before-'))
const ends: (() => unknown)[] = []
try {
  await run('git', ['worktree', 'add', '--detach', checkout, values.base], { cwd: ROOT })
  await symlink(join(ROOT, 'node_modules'), join(checkout, 'node_modules'))
  await generateClient(checkout)
  await withPostgres(async ({ server }) => {
    const stub = await ServiceProcess.startFile('bench/support/client-stub.ts', {})
    ends.push(() => stub.stop())
    const places = await Promise.all(
      (['before', 'now'] as const).map(async name => ({
        name,
        root: name === 'now' ? ROOT : checkout,
        databaseUrl: await server.createEmptyDatabase(name),
      })),
    )
    const start = async ({ name, root, databaseUrl }: (typeof places)[number]): Promise<Side> => {
      // Each side has its own schema.
      const env = {
        DATABASE_URL: databaseUrl,
        MIGRATE_ON_START: 'true',
        CLIENT_SERVICE_URL: stub.url,
        ZIPKIN_URL: '',
        EXPIRY_TTL_SECONDS: '600',
      }
      const service = await ServiceProcess.start('callback-service', env, root)
      ends.push(() => service.stop())
      return { name, service: await service.ready(), databaseUrl }
    }
    const seen = Object.fromEntries(Object.keys(MEASURES).map(what => [what, [] as Record<Side['name'], number>[]]))
    for (let i = 0; i < starts; i += 1) {
      const sides = await Promise.all(places.map(start))
      for (const [what, measure] of Object.entries(MEASURES)) {
        for (const side of sides) await measure(side)
        const rates = { before: [] as number[], now: [] as number[] }
        for (let round = 0; round < rounds; round += 1) {
          for (const side of (i + round) % 2 === 0 ? sides : sides.toReversed()) rates[side.name].push(await measure(side))
        }
        seen[what]?.push({ before: median(rates.before), now: median(rates.now) })
      }
      for (const { service } of sides) await service.stop()
    }
    for (const [what, rates] of Object.entries(seen)) {
      const [before, now] = [median(rates.map(rate => rate.before)), median(rates.map(rate => rate.now))]
      const ratios = rates.map(rate => rate.now / rate.before)
      process.stdout.write(
        `${what}: before ${before.toFixed(0)}, now ${now.toFixed(0)}, ratio ${median(ratios).toFixed(3)} ` +
          `(${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)} over ${starts} starts)\n`,
      )
    }
  })
} finally {
  for (const end of ends.toReversed()) await end()
  await rm(checkout, { recursive: true, force: true })
  await run('git', ['worktree', 'prune'], { cwd: ROOT })
}

/** Generates the Prisma client like the Makefile, because git does not contain it. */
async function generateClient(root: string): Promise<void> {
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: join(root, 'package.json') }
  await run(join(root, 'node_modules/.bin/prisma'), ['generate', '--config', '.config/prisma.ts'], { cwd: root, env })
}

/** Measures accepting. The callbacks name no objects, so nothing is fetched meanwhile. */
async function accepted({ service, databaseUrl }: Side): Promise<number> {
  const { perSecond } = await load({ url: service.url, connections: 64, seconds, body: callbackOf([]) })
  await withClient(databaseUrl, db => db.query('TRUNCATE callbacks'))
  return perSecond
}

async function fetched({ service, databaseUrl }: Side): Promise<number> {
  const started = performance.now()
  for (let sent = 0; sent < objects; sent += IDS) await postCallback(service.url, range(sent, IDS))
  await until(async () => {
    const { rows } = await withClient(databaseUrl, db => db.query('SELECT count(*)::int AS left FROM callbacks WHERE finished_at IS NULL'))
    return rows[0].left === 0
  }, 120_000)
  const perSecond = (objects * 1000) / (performance.now() - started)
  await withClient(databaseUrl, db => db.query('TRUNCATE callbacks, objects'))
  return perSecond
}

function median(values: readonly number[]): number {
  return percentile(ascending(values), 0.5)
}
