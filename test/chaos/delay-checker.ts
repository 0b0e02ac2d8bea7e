import { ascending, percentile } from '../../bench/support/percentile.ts'
import { answeredIds } from './acceptance-checker.ts'
import { FAULTS } from './fault-kinds.ts'
import type { SentCallback, Transition } from './history.ts'
import type { Inflicted } from './nemesis.ts'
import { finishTimes, isHealthy } from './outcome-checker.ts'

/** How long before a fault healthy callbacks are looked at, and how fast half of them must be then for the fault to be judged. */
const BEFORE_MS = 2000
const USUAL_MS = 700
/** Half of the healthy callbacks may not take longer while some objects misbehave. */
const DELAYED_MS = 2000
const LEAST_CALLBACKS = 10

/**
 * Finds faults of single objects that held up callbacks that name none of them: half of those sent meanwhile took seconds. A fault is not judged
 * when callbacks were slow already before it.
 */
export function checkDelays(
  sent: readonly SentCallback[],
  { inflicted, transitions }: { readonly inflicted: readonly Inflicted[]; readonly transitions: readonly Transition[] },
): string[] {
  const finishedAtMs = finishTimes(transitions)
  const healthy = sent.filter(isHealthy)
  const median = (fromMs: number, toMs: number): number | undefined => {
    const took = healthy
      .filter(({ sentAtMs }) => sentAtMs >= fromMs && sentAtMs <= toMs)
      .flatMap(callback => answeredIds(callback).map(id => (finishedAtMs.get(id) ?? Number.POSITIVE_INFINITY) - callback.sentAtMs))
    return took.length < LEAST_CALLBACKS ? undefined : percentile(ascending(took), 0.5)
  }
  return inflicted
    .filter(({ kind }) => FAULTS[kind].meets === 'objects')
    .flatMap(({ kind, startedAtMs, liftedAtMs }) => {
      const before = median(startedAtMs - BEFORE_MS, startedAtMs - USUAL_MS)
      const during = median(startedAtMs, liftedAtMs)
      const isDelayed = before !== undefined && before < USUAL_MS && during !== undefined && during > DELAYED_MS
      return isDelayed ? [`${kind}: half of the healthy callbacks took ${Math.round(during)} ms, ${Math.round(before)} ms before`] : []
    })
}
