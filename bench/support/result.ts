import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, totalmem, type } from 'node:os'
import { fileURLToPath } from 'node:url'

/** What a figure is to reach. */
export type Target = { readonly atLeast: number } | { readonly atMost: number }

/** One thing measured, a sample a round. Its unit is in its name. */
export interface Figure {
  readonly name: string
  readonly target: Target | undefined
  readonly samples: readonly number[]
}

export interface Result {
  readonly name: string
  readonly title: string
  readonly startedAt: string
  readonly postgresVersion: string
  readonly settings: Readonly<Record<string, number>>
  readonly figures: readonly Figure[]
}

const RESULTS = new URL('../results/', import.meta.url)
const LIBRARIES = ['express', 'prisma', '@prisma/client', 'undici', 'pg', 'pg-boss', 'graphile-worker', '@opentelemetry/sdk-trace']

/** Keeps a result with the machine and the versions it was measured on: bench/results/NAME.json. */
export async function writeResult(result: Result): Promise<void> {
  const kept = {
    ...result,
    commit: commit(),
    machine: { cpu: cpus()[0]?.model, cores: availableParallelism(), memoryGiB: Math.round(totalmem() / 2 ** 30), os: type() },
    versions: {
      node: process.versions.node,
      postgres: result.postgresVersion,
      ...Object.fromEntries(await Promise.all(LIBRARIES.map(async library => [library, await versionOf(library)]))),
    },
  }
  await mkdir(RESULTS, { recursive: true })
  await writeFile(new URL(`${result.name}.json`, RESULTS), `${JSON.stringify(kept, null, 2)}\n`)
}

/** A Markdown table: the middle of the rounds, the least and the most, and what was to be reached. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map(figure => {
    const sorted = figure.samples.toSorted((a, b) => a - b)
    const [least, median, most] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)] as [number, number, number]
    return `| ${figure.name} | ${short(median)} | ${sorted.length > 1 ? `${short(least)} to ${short(most)}` : ''} | ${verdict(median, figure.target)} |`
  })
  return ['| | median | spread | to reach |', '|---|---|---|---|', ...rows].join('\n')
}

function verdict(median: number, target: Target | undefined): string {
  if (!target) return ''
  const [sign, bound, isReached] =
    'atLeast' in target ? ['≥', target.atLeast, median >= target.atLeast] : ['≤', target.atMost, median <= target.atMost]
  return `${sign} ${short(bound)}${isReached ? '' : ' **missed**'}`
}

/** Three digits that count. */
function short(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}

async function versionOf(library: string): Promise<string> {
  return JSON.parse(await readFile(new URL(`../../node_modules/${library}/package.json`, import.meta.url), 'utf8')).version
}

function commit(): string {
  return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: fileURLToPath(RESULTS), encoding: 'utf8' }).trim()
}
