import type { Result } from './chaos.ts'
import { VIOLATIONS, type Violation } from './checker.ts'
import type { Timings } from './timings.ts'

/** The numbers of a run. They can be stored, and those of several runs can be added up. */
export interface Summary {
  readonly seeds: readonly number[]
  readonly callbacks: number
  readonly sent: number
  readonly ok: number
  readonly spooled: number
  readonly fail: number
  /** Number of POSTs that were answered neither yes nor no, by reason. */
  readonly info: Readonly<Record<string, number>>
  readonly recovered: number
  /** Number of callbacks that ended as failed, with or without a reason of their own. */
  readonly failed: number
  /** Number of callbacks that needed more than two attempts. */
  readonly tried: number
  /** Number of leases of agents, and how many of them ended without a verdict. */
  readonly leases: { readonly given: number; readonly lost: number }
  readonly violations: Readonly<Record<Violation, number>>
  /** Some findings of each violation, and all services that ended by themselves. */
  readonly examples: readonly string[]
  readonly accidents: number
  readonly timings: Timings
  readonly drainedMs: readonly number[]
  readonly faultSeconds: number
  readonly faults: Readonly<Record<string, number>>
  /** Number of faults that waited for an event that did not come. */
  readonly missed: number
  /** Kinds of faults that cannot be made on this machine. */
  readonly without: readonly string[]
}

const EXAMPLES = 5

export function summaryOf(result: Result, seed: number): Summary {
  const { sent, findings, recovered, failed, tried, leases, inflicted, timings, accidents, drainedMs, without } = result
  const outcomes = sent.flatMap(callback => callback.outcomes)
  const ok = outcomes.filter(outcome => outcome.kind === 'ok')
  const happened = inflicted.filter(({ hasHappened }) => hasHappened)
  const violations = Object.keys(VIOLATIONS) as Violation[]
  return {
    seeds: [seed],
    callbacks: sent.length,
    sent: outcomes.length,
    ok: ok.length,
    spooled: ok.filter(({ durability }) => durability === 'spooled').length,
    fail: outcomes.filter(({ kind }) => kind === 'fail').length,
    info: counted(outcomes.flatMap(outcome => (outcome.kind === 'info' ? outcome.reason : []))),
    recovered,
    failed,
    tried,
    leases,
    violations: Object.fromEntries(violations.map(violation => [violation, findings[violation].length])) as Record<Violation, number>,
    examples: [
      ...violations.flatMap(violation => findings[violation].slice(0, EXAMPLES).map(found => `${violation}: ${found}`)),
      ...accidents,
    ],
    accidents: accidents.length,
    timings,
    drainedMs: [drainedMs],
    faultSeconds: Math.round(((inflicted.at(-1)?.liftedAtMs ?? 0) - (inflicted[0]?.startedAtMs ?? 0)) / 1000),
    faults: counted(happened.map(({ kind }) => kind)),
    missed: inflicted.length - happened.length,
    without,
  }
}

/** Adds the numbers of several runs up. */
export function merged(summaries: readonly Summary[]): Summary {
  return summaries.reduce((sum, next) => ({
    seeds: [...sum.seeds, ...next.seeds],
    callbacks: sum.callbacks + next.callbacks,
    sent: sum.sent + next.sent,
    ok: sum.ok + next.ok,
    spooled: sum.spooled + next.spooled,
    fail: sum.fail + next.fail,
    info: added(sum.info, next.info),
    recovered: sum.recovered + next.recovered,
    failed: sum.failed + next.failed,
    tried: sum.tried + next.tried,
    leases: added(sum.leases, next.leases) as Summary['leases'],
    violations: added(sum.violations, next.violations) as Record<Violation, number>,
    examples: [...sum.examples, ...next.examples],
    accidents: sum.accidents + next.accidents,
    timings: {
      takeOver: [...sum.timings.takeOver, ...next.timings.takeOver],
      ready: [...sum.timings.ready, ...next.timings.ready],
      firstClaim: [...sum.timings.firstClaim, ...next.timings.firstClaim],
    },
    drainedMs: [...sum.drainedMs, ...next.drainedMs],
    faultSeconds: sum.faultSeconds + next.faultSeconds,
    faults: added(sum.faults, next.faults),
    missed: sum.missed + next.missed,
    without: [...new Set([...sum.without, ...next.without])],
  }))
}

function counted(names: readonly string[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(names, name => name)].map(([name, found]) => [name, found.length]))
}

function added(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries([...new Set([...Object.keys(a), ...Object.keys(b)])].map(name => [name, (a[name] ?? 0) + (b[name] ?? 0)]))
}
