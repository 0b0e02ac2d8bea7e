import type { ObjectAnswer } from './fetched-object.ts'

/**
 * What became of one object. `pending`: not settled in this attempt; `isCharged` when it was the object's own failure and not the host's.
 * `retryAfterMs`: its callback is to wait at least so long.
 */
export type Outcome =
  | { readonly kind: 'stored' | 'offline'; readonly answer: ObjectAnswer }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'pending'; readonly reason: string; readonly isCharged: boolean; readonly retryAfterMs?: number }
