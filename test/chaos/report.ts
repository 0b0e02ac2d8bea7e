import { ascending, percentile } from '../../bench/support/percentile.ts'
import type { Result } from './chaos.ts'
import { VIOLATIONS, type Violation } from './checker.ts'
import type { Outcome } from './history.ts'

const EXAMPLES = 5

/** Whether nothing was found that must not be. */
export function isClean({ findings, accidents }: Pick<Result, 'findings' | 'accidents'>): boolean {
  return accidents.length === 0 && Object.values(findings).every(found => found.length === 0)
}

/** What was found, by name; empty when all is well. */
export function violationsOf({ findings }: Pick<Result, 'findings'>): Violation[] {
  return (Object.keys(findings) as Violation[]).filter(violation => findings[violation].length > 0)
}

/** The run in one table, and examples of what was found. */
export function report({ sent, findings, recovered, inflicted, timings, accidents, drainedMs }: Result, seed: number): string {
  const outcomes = sent.flatMap(callback => callback.outcomes)
  const ok = outcomes.filter(outcome => outcome.kind === 'ok')
  const counts = Map.groupBy(
    inflicted.filter(({ hasHappened }) => hasHappened),
    ({ kind }) => kind,
  )
  const rows: [name: string, value: string | number][] = [
    ['callbacks', sent.length],
    ['times sent', outcomes.length],
    ['ok', `${ok.length}, of which spooled ${ok.filter(({ durability }) => durability === 'spooled').length}`],
    ['fail', outcomes.filter(({ kind }) => kind === 'fail').length],
    ['info', reasons(outcomes)],
    ['recovered', recovered],
    ...(Object.keys(VIOLATIONS) as Violation[]).map((violation): [string, number] => [violation, findings[violation].length]),
    ['ended by themselves', accidents.length],
    ['take-over', spread(timings.takeOver)],
    ['restart to ready', spread(timings.ready)],
    ['restart to first claim', spread(timings.firstClaim)],
    ['drained after', `${Math.round(drainedMs)} ms`],
    ...[...counts].sort().map(([kind, faults]): [string, number] => [`fault: ${kind}`, faults.length]),
    ['seed', seed],
  ]
  const examples = violationsOf({ findings }).flatMap(violation => [
    `\n${violation}: ${VIOLATIONS[violation]}`,
    ...findings[violation].slice(0, EXAMPLES).map(found => `  ${found}`),
  ])
  return [...rows.map(([name, value]) => `${name.padEnd(32)}${value}`), ...examples, ...accidents.map(accident => `\n${accident}`)].join(
    '\n',
  )
}

function reasons(outcomes: readonly Outcome[]): string {
  const infos = outcomes.filter(outcome => outcome.kind === 'info')
  const counts = [...Map.groupBy(infos, ({ reason }) => reason)].map(([reason, found]) => `${reason} ${found.length}`)
  return infos.length === 0 ? '0' : `${infos.length}: ${counts.sort().join(', ')}`
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return 'not seen'
  const sorted = ascending(values)
  return `p50 ${Math.round(percentile(sorted, 0.5))} ms, max ${Math.round(percentile(sorted, 1))} ms (${sorted.length})`
}
