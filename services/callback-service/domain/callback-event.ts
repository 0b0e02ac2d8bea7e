import type { CallbackState } from './callback.ts'

/**
 * What happened to a callback, as this process saw it. Whoever does something emits the event; metrics, logs and waiting requests listen.
 * The timeline of a callback is written by the statements that change its row, so that it says what was committed.
 */
export type CallbackEvent =
  /** A POST got its answer. `outcome` is `accepted`, `replayed` or the code of the problem. The workspace of an early refusal is unknown, and empty. */
  | {
      readonly event: 'answered'
      readonly outcome: string
      readonly workspace: string
      /** Time from the arrival of the POST until it was accepted; undefined for a refusal. */
      readonly tookMs?: number | undefined
    }
  /** Callbacks were kept in the spool, because the database could not take them. */
  | { readonly event: 'spooled'; readonly count: number }
  /** A worker of this process claimed it. */
  | {
      readonly event: 'claimed'
      readonly id: string
      readonly workspace: string
      readonly attempt: number
      /** Time from its receipt to this claim. */
      readonly waitedMs: number
    }
  /** It left its worker in this state, and the database says so. */
  | {
      readonly event: 'settled'
      readonly id: string
      readonly workspace: string
      readonly attempt: number
      readonly state: CallbackState
      /** Number of objects that this attempt had to fetch. */
      readonly objects: number
      /** Time from its receipt to its claim, and from there until now. */
      readonly waitedMs: number
      readonly workedMs: number
    }
  /** Somebody changed it from outside. It has this state now, as far as this process knows. */
  | { readonly event: 'steered'; readonly id: string; readonly workspace: string; readonly state: CallbackState }
  /** Callbacks of dead workers went back to the inbox. */
  | { readonly event: 'taken_over'; readonly count: number }
  /** The lease of an agent ended without it. */
  | { readonly event: 'lapsed'; readonly workspace: string }
  /** Callbacks moved from the spool into the database. */
  | { readonly event: 'drained'; readonly count: number }
