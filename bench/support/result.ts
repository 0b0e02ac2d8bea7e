import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem, type } from 'node:os'
import { fileURLToPath } from 'node:url'

/** The target of a figure. */
export interface Target {
  readonly atLeast?: number
  readonly atMost?: number
}

/** One measured figure, with one sample per round. Its unit is in its name. */
export interface Figure {
  readonly name: string
  readonly target?: Target | undefined
  readonly samples: readonly number[]
}

export interface Measured {
  readonly name: string
  readonly title: string
  readonly startedAt: string
  readonly settings: Readonly<Record<string, number>>
  readonly figures: readonly Figure[]
}

/** The content of bench/results/NAME.json. */
export interface Result extends Measured {
  readonly commit: string
  readonly machine: { readonly cpu: string; readonly cores: number; readonly memoryGiB: number; readonly os: string }
  readonly versions: Readonly<Record<string, string>>
}

const ROOT = new URL('../../', import.meta.url)
const PAGE = 'docs/performance.md'
const LIBRARIES = ['express', 'prisma', 'undici', 'pg', 'pg-boss', 'graphile-worker', '@opentelemetry/sdk-trace']

/**
 * Stores a result, with its machine and its versions, in bench/results/NAME.json and as a table on a page.
 * @param options.page default: docs/performance.md
 */
export function publish(
  measured: Measured,
  { page = PAGE, postgresVersion }: { page?: string | undefined; postgresVersion: string },
): void {
  const result: Result = {
    ...measured,
    commit: `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', 'services', 'prisma') === '' ? '' : ' with changes'}`,
    machine: { cpu: cpus()[0]?.model ?? '', cores: availableParallelism(), memoryGiB: Math.round(totalmem() / 2 ** 30), os: type() },
    versions: {
      node: process.versions.node,
      postgres: postgresVersion,
      ...Object.fromEntries(LIBRARIES.map(name => [name, versionOf(name)])),
    },
  }
  mkdirSync(new URL('bench/results/', ROOT), { recursive: true })
  writeFileSync(new URL(`bench/results/${result.name}.json`, ROOT), `${JSON.stringify(result, null, 2)}\n`)
  const file = new URL(page, ROOT)
  const text = readFileSync(file, 'utf8')
  writeFileSync(
    file,
    text.replace(blockOf(result.name), () => block(result)),
  )
}

/** Matches the place of a benchmark on its page. */
export function blockOf(name: string): RegExp {
  return new RegExp(`<!-- bench ${name} -->[^]*?<!-- end -->`)
}

/** Makes the text for the place of a benchmark on its page. */
export function block({ name, startedAt, commit, machine, versions, settings, figures }: Result): string {
  const set = Object.entries(settings).map(([key, value]) => `${key} ${value}`)
  const where = `${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Node ${versions['node']}, PostgreSQL ${versions['postgres']}`
  return `<!-- bench ${name} -->\n\n${table(figures)}\n\n${startedAt.slice(0, 10)}, ${commit}; ${where}; ${set.join(', ')}.\n\n<!-- end -->`
}

/** Makes a Markdown table with the median, the minimum and the maximum of the rounds, and the target. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, samples, target }) => {
    const sorted = samples.toSorted((a, b) => a - b)
    const spread = sorted.length > 1 ? `${short(sorted[0])} to ${short(sorted.at(-1))}` : ''
    return `| ${name} | ${short(median(sorted))} | ${spread} | ${verdict(median(sorted), target)} |`
  })
  return ['| | median | spread | to reach |', '|---|---|---|---|', ...rows].join('\n')
}

function median(sorted: readonly number[]): number {
  const [below, above] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]] as [number, number]
  return (below + above) / 2
}

function verdict(value: number, { atLeast, atMost }: Target = {}): string {
  const bounds = [atLeast !== undefined && `≥ ${short(atLeast)}`, atMost !== undefined && `≤ ${short(atMost)}`].filter(Boolean).join(', ')
  const isReached = (atLeast === undefined || value >= atLeast) && (atMost === undefined || value <= atMost)
  return `${bounds}${isReached ? '' : ' **missed**'}`
}

/** Formats a number with three significant digits. */
function short(value = Number.NaN): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: fileURLToPath(ROOT), encoding: 'utf8' }).trim()
}

function versionOf(library: string): string {
  return (JSON.parse(readFileSync(new URL(`node_modules/${library}/package.json`, ROOT), 'utf8')) as { version: string }).version
}
