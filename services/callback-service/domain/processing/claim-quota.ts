import type { Turn } from './suspicion.ts'

/** What one claim may take. */
export interface ClaimQuota {
  /** Maximum number of callbacks to claim. */
  readonly callbacks: number
  /** Maximum number of objects that the claimed callbacks may name together. */
  readonly objects: number
  /** Claim only callbacks that have been due for at least this time. */
  readonly minAgeMs: number
  /** Claim only suspects that were in this many crashes; undefined: claim anything but suspects. */
  readonly crashes?: number
  /** If this claim finds nothing, the worker claims suspects next. */
  readonly suspectsWait?: boolean
}

/** Maximum number of callbacks that one statement claims. */
const CLAIM_BATCH = 32
/** Maximum number of requests that may wait, in multiples of `concurrency`. */
const MAX_WAITING = 4
/**
 * A process with free slots looks at the inbox several times within this time. A callback that is still there is wanted by no other
 * process.
 */
const UNWANTED_MS = 1000

/**
 * Decides what is worth claiming now:
 * - nothing while no request may leave;
 * - one callback to probe with while the breaker is half-open;
 * - otherwise enough objects to fill the slots and to keep as many requests waiting. The rest stays for other replicas;
 * - if that many wait already, only callbacks that no replica with free slots has taken. If they name the same objects, the waiting
 *   requests serve them too.
 * @returns undefined if nothing is worth claiming
 */
export function claimQuota(now: {
  readonly running: number
  readonly maxRunning: number
  readonly requests: { readonly inFlight: number; readonly waiting: number; readonly concurrency: number }
  readonly breaker: { readonly state: 'closed' | 'open' | 'half-open'; readonly waitMs: number }
}): ClaimQuota | undefined {
  const { running, maxRunning, requests, breaker } = now
  const { inFlight, waiting, concurrency } = requests
  const callbacks = Math.min(breaker.state === 'closed' ? CLAIM_BATCH : 1, maxRunning - running)
  if (breaker.waitMs > 0 || callbacks <= 0) return undefined
  const objects = 2 * concurrency - inFlight - waiting
  if (objects > 0) return { callbacks, objects, minAgeMs: 0 }
  const more = MAX_WAITING * concurrency - waiting
  return more > 0 ? { callbacks, objects: more, minAgeMs: UNWANTED_MS } : undefined
}

/**
 * Limits the quota to the callbacks whose turn it is, because suspects are claimed separately.
 * @returns undefined if nothing may be claimed now
 */
export function withinTurn(quota: ClaimQuota, turn: Turn): ClaimQuota | undefined {
  if (turn.take === 'nothing') return undefined
  if (turn.take === 'others') return turn.suspectsWait ? { ...quota, suspectsWait: true } : quota
  return { ...quota, callbacks: Math.min(quota.callbacks, turn.callbacks), crashes: turn.crashes }
}
