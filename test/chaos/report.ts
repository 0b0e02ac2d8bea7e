import { ascending, percentile } from '../../bench/support/percentile.ts'
import type { Result } from './chaos.ts'
import { VIOLATIONS, type Violation } from './checker.ts'
import type { Summary } from './summary.ts'

/** Whether a run has no violations and no accidents. */
export function isClean({ violations, accidents }: Pick<Summary, 'violations' | 'accidents'>): boolean {
  return accidents === 0 && Object.values(violations).every(count => count === 0)
}

/** Lists the names of the violations found; empty if there are none. */
export function violationsOf({ findings }: Pick<Result, 'findings'>): Violation[] {
  return (Object.keys(findings) as Violation[]).filter(violation => findings[violation].length > 0)
}

/** Makes a table of one run or several, with examples of the findings. */
export function report(summary: Summary): string {
  const { timings, faults } = summary
  const total = Object.values(faults).reduce((sum, count) => sum + count, 0)
  const rows: [name: string, value: string | number][] = [
    ['callbacks', summary.callbacks],
    ['times sent', summary.sent],
    ['ok', `${summary.ok}, of which spooled ${summary.spooled}`],
    ['fail', summary.fail],
    ['info', listed(summary.info)],
    ['recovered', summary.recovered],
    ['ended as failed', summary.failed],
    ['more than two attempts', summary.tried],
    ['leases', `${summary.leases.given}, of which lost ${summary.leases.lost}`],
    ...(Object.keys(VIOLATIONS) as Violation[]).map((violation): [string, number] => [violation, summary.violations[violation]]),
    ['ended by themselves', summary.accidents],
    ['take-over', spread(timings.takeOver)],
    ['restart to ready', spread(timings.ready)],
    ['restart to first claim', spread(timings.firstClaim)],
    ['drained after', summary.drainedMs.map(ms => `${Math.round(ms)} ms`).join(', ')],
    ['faults', `${total} in ${summary.faultSeconds} s${summary.missed > 0 ? `; ${summary.missed} did not happen` : ''}`],
    ...Object.entries(faults)
      .sort()
      .map(([kind, count]): [string, number] => [`fault: ${kind}`, count]),
    ...summary.without.map((kind): [string, string] => [`fault: ${kind}`, 'left out: libfaketime is not installed']),
    ['seed', summary.seeds.join(', ')],
  ]
  const found = (Object.keys(VIOLATIONS) as Violation[]).filter(violation => summary.violations[violation] > 0)
  return [
    ...rows.map(([name, value]) => `${name.padEnd(36)}${value}`),
    ...(summary.examples.length > 0 ? [''] : []),
    ...found.map(violation => `${violation} means: ${VIOLATIONS[violation]}`),
    ...summary.examples,
  ].join('\n')
}

function listed(counts: Readonly<Record<string, number>>): string {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  const words = Object.entries(counts).map(([reason, count]) => `${reason} ${count}`)
  return total === 0 ? '0' : `${total}: ${words.sort().join(', ')}`
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return 'not seen'
  const sorted = ascending(values)
  return `p50 ${Math.round(percentile(sorted, 0.5))} ms, max ${Math.round(percentile(sorted, 1))} ms (${sorted.length})`
}
