import { parseArgs } from 'node:util'
import type { PostgresServer } from '../../test/support/postgres-server.ts'
import { ServiceProcess } from '../../test/support/service-process.ts'
import { unlessInterrupted } from './interruption.ts'
import { type BenchDatabase, withPostgres } from './postgres.ts'
import { type Figure, publish, type Target, table } from './result.ts'

type Numbers = Readonly<Record<string, number>>

/** The tools of a benchmark. Everything that it starts ends with it, in reverse order. */
export interface Bench<Settings extends Numbers, Server = PostgresServer> {
  readonly settings: Settings
  /** A migrated database for this benchmark, on a PostgreSQL with the default durability. */
  readonly databaseUrl: string
  /** The server of the database, which the benchmark can kill or freeze. */
  readonly postgres: Server
  /** Starts the callback service as its users run it: a separate process. Resolves when it is ready. */
  callbackService(env?: Readonly<Record<string, string>>): Promise<ServiceProcess>
  clientService(env?: Readonly<Record<string, string>>): Promise<ServiceProcess>
  /** Starts another program that runs like a service. */
  program(file: string, env?: Readonly<Record<string, string>>): Promise<ServiceProcess>
  /** Calls `end` at the end of the benchmark. */
  onEnd(end: () => unknown): void
  /** Adds a sample to a figure. There is one sample per round, so that the table can show the spread. */
  sample(name: string, value: number, target?: Target): void
  /** Runs `round` as often as the setting `rounds` says. Figures that are compared with each other belong in one round. */
  rounds(round: (index: number) => Promise<void>): Promise<void>
  say(line: string): void
}

interface Plan<Settings extends Numbers> {
  readonly name: string
  readonly title: string
  /** The page that shows its figures (default: docs/performance.md). */
  readonly page?: string
  readonly settings: Settings
  readonly quick: Partial<Settings>
}

/**
 * Runs one benchmark: starts what it needs, prints its table, and stores the table in bench/results/NAME.json and on its page. Each setting
 * is a flag (`--rounds=3`). `--quick` shows in seconds that the benchmark still works; it measures no speed and writes nothing. The table
 * marks a figure that misses its target. That does not fail the run. A wrong count does: then the benchmark throws.
 */
export function benchmark<Settings extends Numbers>(plan: Plan<Settings>, run: (bench: Bench<Settings>) => Promise<void>): Promise<void> {
  return benchmarkBeside(withPostgres, plan, run)
}

/** Runs one benchmark with another kind of PostgreSQL. */
export async function benchmarkBeside<Settings extends Numbers, Server>(
  withServer: (work: (database: BenchDatabase<Server>) => Promise<void>) => Promise<void>,
  { name, title, page, settings: defaults, quick }: Plan<Settings>,
  run: (bench: Bench<Settings, Server>) => Promise<void>,
): Promise<void> {
  const { isQuick, settings } = settingsFrom(defaults, quick)
  const figures = new Map<string, Figure>()
  const ends: (() => unknown)[] = []
  say(`${name}: ${title}`)
  const startedAt = new Date()
  try {
    await withServer(async ({ server, url: databaseUrl, version }) => {
      const program = async (file: string, env: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> => {
        const service = await ServiceProcess.startFile(file, { ZIPKIN_URL: '', ...env })
        ends.push(() => service.stop())
        return service
      }
      const bench: Bench<Settings, Server> = {
        settings,
        databaseUrl,
        postgres: server,
        program,
        callbackService: async env =>
          (
            await program('services/callback-service/main.ts', {
              DATABASE_URL: databaseUrl,
              CLIENT_SERVICE_URL: 'http://127.0.0.1:1',
              ...env,
            })
          ).ready(),
        clientService: env => program('services/client-service/main.ts', { EMITTER_ENABLED: 'false', ...env }),
        onEnd: end => ends.push(end),
        sample: (figure, value, target) => {
          const known = figures.get(figure) ?? { name: figure, target, samples: [] }
          figures.set(figure, { ...known, samples: [...known.samples, value] })
        },
        rounds: async round => {
          for (let i = 0; i < (settings['rounds'] ?? 1); i += 1) {
            const started = performance.now()
            await round(i)
            say(`  round ${i + 1} of ${settings['rounds']}: ${((performance.now() - started) / 1000).toFixed(0)} s`)
          }
        },
        say: line => say(`  ${line}`),
      }
      try {
        await unlessInterrupted(() => run(bench))
      } finally {
        for (const end of ends.reverse()) await end()
      }
      const measured = { name, title, startedAt: startedAt.toISOString(), settings, figures: [...figures.values()] }
      say(table(measured.figures))
      if (!isQuick) publish(measured, { page, postgresVersion: version })
    })
  } catch (error) {
    say(`${name} failed`)
    throw error
  }
}

function settingsFrom<Settings extends Numbers>(defaults: Settings, quick: Partial<Settings>): { isQuick: boolean; settings: Settings } {
  const flags = Object.fromEntries(Object.keys(defaults).map(key => [key, { type: 'string' as const }]))
  const { values } = parseArgs({ options: { ...flags, quick: { type: 'boolean' } } })
  const { quick: isQuick = false, ...given } = values as Record<string, string | boolean | undefined> & { quick?: boolean }
  const settings = {
    ...defaults,
    ...(isQuick ? quick : {}),
    ...Object.fromEntries(Object.entries(given).map(([key, text]) => [key, Number(text)])),
  }
  return { isQuick, settings }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
