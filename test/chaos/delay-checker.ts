import { ascending, percentile } from '../../bench/support/percentile.ts'
import { answeredIds } from './acceptance-checker.ts'
import { FAULTS } from './fault-kinds.ts'
import type { SentCallback, Transition } from './history.ts'
import type { Inflicted } from './nemesis.ts'
import { finishTimes, isHealthy } from './outcome-checker.ts'

/** Time before a fault in which the usual speed is measured. */
const BEFORE_MS = 2000
/** A fault is judged only if the p50 of healthy callbacks before it is below this. */
const USUAL_MS = 700
/** Largest p50 of healthy callbacks while some objects misbehave. */
const DELAYED_MS = 2000
const LEAST_CALLBACKS = 10
/** Largest p99 of the answers while a hostile sender is active, or `SLOWER` times the p50 before, whichever is larger. */
const SLOW_ANSWER_MS = 1500
const SLOWER = 3
/** Minimum number of slow answers that count. The machine may be to blame for one or two. */
const LEAST_SLOW = 3
/** After these faults, a replica answers for a little while, and then is gone until it has started again. */
const STOPS: ReadonlySet<string> = new Set(['terminate', 'terminate while spooling'])

/**
 * Finds faults of single objects that held up callbacks that name none of them: half of those sent meanwhile took over two seconds. It does
 * not judge a fault if callbacks were slow before it.
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
 * Finds faults in which one sender held up the others. The p99 of the answers of its replica was over 1.5 s and over three times the usual.
 * It does not judge a fault if the p50 was slow before it, or if that replica was still starting, or just told to stop. Nor does it judge one if
 * the other replicas were as slow, because then the machine was slow.
 */
export function checkAnswerTimes(sent: readonly SentCallback[], inflicted: readonly Inflicted[]): string[] {
  const between = (fromMs: number, toMs: number): { ms: number; replica: number | undefined }[] =>
    sent
      .filter(({ sentAtMs }) => sentAtMs >= fromMs && sentAtMs <= toMs)
      .map(({ outcomes: [first] }) => ({
        ms: first === undefined || first.kind === 'info' ? Number.POSITIVE_INFINITY : (first.tookMs ?? 0),
        replica: first?.replica,
      }))
  return inflicted
    .filter(({ kind }) => FAULTS[kind].meets === 'senders')
    .flatMap(({ kind, replica, startedAtMs, liftedAtMs }) => {
      const before = between(startedAtMs - BEFORE_MS, startedAtMs)
      if (before.length < LEAST_CALLBACKS) return []
      const isStopping = inflicted.some(
        other =>
          STOPS.has(other.kind) &&
          other.replica === replica &&
          other.liftedAtMs <= startedAtMs &&
          other.liftedAtMs > startedAtMs - BEFORE_MS,
      )
      if (isStopping) return []
      const usualMs = percentile(ascending(before.map(({ ms }) => ms)), 0.5)
      const limitMs = Math.max(SLOW_ANSWER_MS, SLOWER * usualMs)
      if (before.some(answer => answer.replica === replica && answer.ms > limitMs)) return []
      const during = between(startedAtMs, liftedAtMs)
      const met = shareAbove(
        limitMs,
        during.filter(answer => answer.replica === replica),
      )
      const others = shareAbove(
        limitMs,
        during.filter(answer => answer.replica !== replica),
      )
      const isDelayed = usualMs < USUAL_MS && met.count >= LEAST_SLOW && met.share > 0.01 && met.share > 2 * others.share
      return isDelayed ? [`${kind}: ${met.count} answers of replica ${replica} took over ${Math.round(limitMs)} ms or did not come`] : []
    })
}

function shareAbove(limitMs: number, answers: readonly { readonly ms: number }[]): { count: number; share: number } {
  const count = answers.filter(({ ms }) => ms > limitMs).length
  return { count, share: count / Math.max(1, answers.length) }
}
