import type { ObjectAnswer } from './fetched-object.ts'

/**
 * The result of one object. `pending`: this attempt brought no final outcome; `isCharged` if the failure was the object's own and not the
 * host's. `retryAfterMs`: the least time that its callback must wait.
 */
export type Outcome =
  | { readonly kind: 'stored' | 'offline'; readonly answer: ObjectAnswer }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'pending'; readonly reason: string; readonly isCharged: boolean; readonly retryAfterMs?: number }
