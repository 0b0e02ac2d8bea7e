/** A callback that the emitter sends. It has the same key and the same ids each time it is sent. */
export interface EmittedCallback {
  /** UUID */
  readonly idempotencyKey: string
  readonly objectIds: readonly number[]
}

/** The result of sending a callback once. Only `unavailable` (5xx, a timeout, or no connection) is worth another try. */
export type PostOutcome =
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly status: number }
  | { readonly kind: 'unavailable'; readonly reason: string; readonly retryAfterMs?: number | undefined }
