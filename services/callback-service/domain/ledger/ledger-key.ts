import type { CallbackPosition, CallbackState } from '../callback.ts'

/** The idempotency key of a callback that the service received in a span of time. */
export interface LedgerKey {
  readonly key: string
  /** The id of the callback. */
  readonly id: string
  readonly receivedAt: Date
  readonly state: CallbackState
  /** Its place in the list, which is ordered by time of receipt and id, oldest first. */
  readonly position: CallbackPosition
}

export interface LedgerKeys {
  readonly keys: readonly LedgerKey[]
  /** False if callbacks of these hours are gone, and their keys with them. */
  readonly isComplete: boolean
}

/** From `fromMs` on, and before `toMs`. */
export interface KeysSpan {
  readonly workspace: string
  readonly fromMs: number
  readonly toMs: number
}
