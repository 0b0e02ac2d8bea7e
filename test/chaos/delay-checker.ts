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
/** The slowest hundredth of the answers may not take longer while somebody means harm, nor three times as long as before. */
const SLOW_ANSWER_MS = 1500
const SLOWER = 3

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

/**
 * Finds faults in which one sender held up the others: the slowest hundredth of the answers took over 1.5 s, or did not come. A fault is not
 * judged when answers were slow already before it.
 */
export function checkAnswerTimes(sent: readonly SentCallback[], inflicted: readonly Inflicted[]): string[] {
  const p99 = (fromMs: number, toMs: number): number | undefined => {
    const took = sent
      .filter(({ sentAtMs }) => sentAtMs >= fromMs && sentAtMs <= toMs)
      .map(({ outcomes: [first] }) => (first === undefined || first.kind === 'info' ? Number.POSITIVE_INFINITY : (first.tookMs ?? 0)))
    return took.length < LEAST_CALLBACKS ? undefined : percentile(ascending(took), 0.99)
  }
  return inflicted
    .filter(({ kind }) => FAULTS[kind].meets === 'senders')
    .flatMap(({ kind, startedAtMs, liftedAtMs }) => {
      const before = p99(startedAtMs - BEFORE_MS, startedAtMs)
      const during = p99(startedAtMs, liftedAtMs)
      const isDelayed =
        before !== undefined && before < USUAL_MS && during !== undefined && during > Math.max(SLOW_ANSWER_MS, SLOWER * before)
      return isDelayed ? [`${kind}: p99 of the answers to honest senders ${Math.round(during)} ms, ${Math.round(before)} ms before`] : []
    })
}
