import type { CallbackState } from '../callback.ts'

/** One entry of the column `timeline`. Times are epoch milliseconds. `at` is by the database's clock. */
export interface TimelineEntry {
  readonly at: number
  readonly event: string
  /** Number of the worker that had the callback. */
  readonly worker?: number
  /** Name of the agent that had the callback. */
  readonly agent?: string
  /** When that worker or agent had claimed it. After a take-over, by the clock of its process. */
  readonly claimed_at?: number
  readonly attempt?: number
  /** When it came into a spool. */
  readonly spooled_at?: number
  readonly [detail: string]: unknown
}

/** Who has a callback: a worker, by its number, or an agent, by its name. */
interface ByWorker {
  readonly worker: number
}

interface ByAgent {
  readonly agent: string
}

/** What the database knows of a callback's past. */
export interface CallbackPast {
  readonly id: string
  readonly state: CallbackState
  readonly receivedAt: Date
  /** Whether a spool took it first. */
  readonly isSpooled: boolean
  readonly entries: readonly TimelineEntry[]
  /** The present claim; undefined if it does not run. */
  readonly claim: ((ByWorker | ByAgent) & { readonly at: number; readonly attempt: number }) | undefined
  /** The processes of the workers that the database still knows, by number. */
  readonly processes: ReadonlyMap<number, { readonly host: string; readonly pid: number }>
}

/** One event of a timeline, as readers see it. Times are epoch milliseconds. */
export interface TimelineEvent {
  readonly at: number
  readonly event: string
  readonly worker?: { readonly number: number; readonly host?: string; readonly pid?: number }
  readonly agent?: string
  readonly [detail: string]: unknown
}

/**
 * Returns what happened to a callback, first to last. An attempt is two events, its claim and its end. Their times are by different clocks, so
 * the order is that in which they happened, even if the times say otherwise.
 */
export function timelineOf({ receivedAt, isSpooled, entries, claim, processes }: CallbackPast): TimelineEvent[] {
  const workerOf = (number: number) => ({ worker: { number, ...processes.get(number) } })
  const past = entries.flatMap(({ worker, claimed_at: claimedAt, spooled_at: _, ...event }) => {
    const by = worker === undefined ? {} : workerOf(worker)
    const ended = { ...event, ...by }
    if (claimedAt === undefined) return [ended]
    return [{ event: 'claimed', at: claimedAt, attempt: event.attempt, ...by, ...('agent' in event && { agent: event.agent }) }, ended]
  })
  return [
    { event: isSpooled ? 'spooled' : 'accepted', at: receivedAt.getTime() },
    ...past,
    ...(claim
      ? [
          {
            event: 'claimed',
            at: claim.at,
            attempt: claim.attempt,
            ...('worker' in claim ? workerOf(claim.worker) : { agent: claim.agent }),
          },
        ]
      : []),
  ]
}
