/** A callback on its way to the callback service: the same key and the same ids each time it is sent. */
export interface EmittedCallback {
  /** UUID */
  readonly idempotencyKey: string
  readonly objectIds: readonly number[]
}

/** What became of sending it once. Only `unavailable` (5xx, no answer in time, none at all) is worth another try. */
export type PostOutcome =
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly status: number }
  | { readonly kind: 'unavailable'; readonly reason: string; readonly retryAfterMs?: number | undefined }
