import type { Turn } from './suspicion.ts'

/** What a process has room for: so many callbacks, of so many objects, due for so long at least. */
export interface ClaimQuota {
  readonly callbacks: number
  readonly objects: number
  readonly minAgeMs: number
  /** Only suspects that were in this many crashes; undefined: anything but suspects. */
  readonly crashes?: number
  /** Suspects are to be claimed next if this finds nothing. */
  readonly suspectsWait?: boolean
}

/** Callbacks claimed by one statement. */
const CLAIM_BATCH = 32
/** Requests that may wait, in multiples of those under way. */
const MAX_WAITING = 4
/** A process with free slots looks at the inbox several times in so many milliseconds: what is still there is wanted by none. */
const UNWANTED_MS = 1000

/**
 * What is worth claiming now: nothing while no request may leave; one callback to probe with; else as many objects as fill the slots and keep
 * as many requests waiting, so that replicas share what there is. When those wait already, only what no replica with free slots has taken:
 * of many callbacks that name the same objects each further one costs little, and is served by the requests that wait anyway.
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

/** Narrows the room to what is next: suspects are claimed by themselves. @returns undefined when nothing may be claimed now */
export function withinTurn(quota: ClaimQuota, turn: Turn): ClaimQuota | undefined {
  if (turn.take === 'nothing') return undefined
  if (turn.take === 'others') return turn.suspectsWait ? { ...quota, suspectsWait: true } : quota
  return { ...quota, callbacks: Math.min(quota.callbacks, turn.callbacks), crashes: turn.crashes }
}
