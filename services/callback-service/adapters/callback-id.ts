import { randomFillSync } from 'node:crypto'
import { v5, v7 } from 'uuid'

/** Any fixed UUID: it only keeps our names apart from those of others. */
const NAMESPACE = 'c8a6a1f4-3f0e-4f1c-9d0a-6d6a3b6e9b1e'

/** Asked for sixteen at a time, random bytes took a tenth of the accept path's time; by the pool they take none worth mentioning. */
const pool = new Uint8Array(16 * 256)
let used = pool.length

/**
 * A new callback's id (RFC 9562). Of version 7 without an idempotency key, so that rows of one time lie together in the index; of version 5,
 * made from the key, with one: copies of a callback then have the same id wherever they arrive, also on replicas that spool apart.
 */
export function newCallbackId(idempotencyKey?: string): string {
  return idempotencyKey === undefined ? v7({ rng: nextRandom }) : v5(idempotencyKey, NAMESPACE)
}

function nextRandom(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += 16
  return pool.slice(used - 16, used)
}
