/** How much may be claimed: by the whole process, or of one workspace. */
export interface ClaimRoom {
  /** Maximum number of callbacks to claim. */
  readonly callbacks: number
  /** Maximum number of objects that the claimed callbacks may name together. */
  readonly objects: number
  /** Claim only callbacks that have been due for at least this time. */
  readonly minAgeMs: number
}

/** What one claim takes of a workspace. */
export interface ClaimShare extends ClaimRoom {
  readonly workspace: string
}

/** The suspects that one claim takes, of any workspace that is not excluded. */
export interface SuspectGroup {
  /** They were in exactly this many crashes. */
  readonly crashes: number
  readonly callbacks: number
  readonly objects: number
  /** Workspaces that are paused, or whose client service gets no request now. */
  readonly excluded: readonly string[]
}

/** What one claim may take: anything but suspects, or one group of suspects. */
export type ClaimQuota =
  | {
      /** Empty if no workspace may have callbacks that are due. */
      readonly shares: readonly ClaimShare[]
      /** If this claim finds nothing, the worker claims suspects next. */
      readonly suspectsWait?: boolean
    }
  | { readonly suspects: SuspectGroup }

/** Maximum number of callbacks that one statement claims. */
export const CLAIM_BATCH = 32
/** Maximum number of requests that may wait, in multiples of `concurrency`. */
export const MAX_WAITING = 4
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
export function claimRoom(now: {
  readonly running: number
  readonly maxRunning: number
  readonly requests: { readonly inFlight: number; readonly waiting: number; readonly concurrency: number }
  readonly breaker: Breaker
}): ClaimRoom | undefined {
  const { running, maxRunning, requests, breaker } = now
  const { inFlight, waiting, concurrency } = requests
  const callbacks = Math.min(breaker.state === 'closed' ? CLAIM_BATCH : 1, maxRunning - running)
  if (breaker.waitMs > 0 || callbacks <= 0) return undefined
  const objects = 2 * concurrency - inFlight - waiting
  if (objects > 0) return { callbacks, objects, minAgeMs: 0 }
  const more = MAX_WAITING * concurrency - waiting
  return more > 0 ? { callbacks, objects: more, minAgeMs: UNWANTED_MS } : undefined
}

/** Whether requests may leave for a client service. */
export interface Breaker {
  readonly state: 'closed' | 'open' | 'half-open'
  readonly waitMs: number
}
