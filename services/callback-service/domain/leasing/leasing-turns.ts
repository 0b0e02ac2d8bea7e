import type { CandidatePosition } from './matching.ts'

/** One look at the callbacks of a workspace. */
export interface Look {
  readonly workspace: string
  /** It goes on after this callback, for polls that found nothing before it. Undefined: it begins with the most urgent callbacks. */
  readonly from: CandidatePosition | undefined
}

/** What a look has brought. */
export interface Looked {
  /** Whether callbacks may be left that suit a poll that waits. */
  readonly mayHaveMore: boolean
  /** Where a look goes on for the polls that got nothing; undefined: they have seen all. */
  readonly next: CandidatePosition | undefined
  readonly hasBroughtLeases: boolean
  readonly tookMs: number
  readonly nowMs: number
}

/** A workspace for whose callbacks polls may wait. */
interface Lane {
  /** Whether it may have callbacks that can be leased. */
  isDue: boolean
  /** Whether it was noted since its last look began. */
  isNoted: boolean
  nextLookMs: number
  /** Callbacks that suit nobody must not hide those behind them. So looks for polls that got nothing walk on through the whole backlog. */
  walk: CandidatePosition | undefined
  nextStepMs: number
  wasStep: boolean
}

/** Looks that bring nothing take at most about one part in this many of the time. */
const IDLE_PART = 20
/** Maximum rest that `IDLE_PART` may cause. A look that took long because the database hung must not delay the next. */
const MAX_REST_MS = 1000

/** Decides which workspace is looked at next, so that polls without work cost no look. Times are milliseconds of a monotonic clock. */
export class LeasingTurns {
  readonly #lanes = new Map<string, Lane>()

  /** Notes that a workspace may have callbacks that can be leased. */
  arrived(workspace: string): void {
    const lane = this.#lanes.get(workspace)
    if (lane) Object.assign(lane, { isDue: true, isNoted: true })
    else
      this.#lanes.set(workspace, {
        isDue: true,
        isNoted: true,
        nextLookMs: -Infinity,
        walk: undefined,
        nextStepMs: -Infinity,
        wasStep: true,
      })
  }

  /** Takes the next looks, those that have waited longest first. Each of them needs a call of `looked`. @param waiting workspaces in which polls wait */
  take(waiting: Iterable<string>, { nowMs, max }: { readonly nowMs: number; readonly max: number }): Look[] {
    const ready = this.#lanesOf(waiting).filter(({ lane }) => timeOf(lane) <= nowMs)
    return ready
      .sort((a, b) => timeOf(a.lane) - timeOf(b.lane))
      .slice(0, max)
      .map(({ workspace, lane }) => {
        const canStep = lane.walk !== undefined && lane.nextStepMs <= nowMs
        const isStep = canStep && (!lane.wasStep || !lane.isDue || lane.nextLookMs > nowMs)
        lane.wasStep = isStep
        if (!isStep) lane.isNoted = false
        return { workspace, from: isStep ? lane.walk : undefined }
      })
  }

  looked({ workspace, from }: Look, { mayHaveMore, next, hasBroughtLeases, tookMs, nowMs }: Looked): void {
    const lane = this.#lanes.get(workspace)
    if (!lane) return
    const restMs = Math.min(MAX_REST_MS, IDLE_PART * tookMs)
    if (from === undefined) {
      lane.isDue = mayHaveMore || lane.isNoted
      lane.nextLookMs = nowMs + (hasBroughtLeases ? 0 : restMs)
      // A walk under way goes on. It began with polls that still wait, or ends soon.
      lane.walk ??= next
    } else lane.walk = next
    lane.nextStepMs = nowMs + restMs
    if (!lane.isDue && lane.walk === undefined && nowMs >= lane.nextLookMs) this.#lanes.delete(workspace)
  }

  /** @returns the time at which one of these workspaces may be looked at; Infinity: something has to arrive first */
  nextLookMs(waiting: Iterable<string>): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#lanesOf(waiting).map(({ lane }) => timeOf(lane)))
  }

  #lanesOf(waiting: Iterable<string>): { readonly workspace: string; readonly lane: Lane }[] {
    return [...waiting].flatMap(workspace => {
      const lane = this.#lanes.get(workspace)
      return lane ? [{ workspace, lane }] : []
    })
  }
}

/** When a lane may be looked at. */
function timeOf({ isDue, nextLookMs, walk, nextStepMs }: Lane): number {
  return Math.min(isDue ? nextLookMs : Number.POSITIVE_INFINITY, walk === undefined ? Number.POSITIVE_INFINITY : nextStepMs)
}
