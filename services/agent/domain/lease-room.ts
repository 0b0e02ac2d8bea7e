/** How much to lease next. */
export interface LeaseRoom {
  readonly callbacks: number
  /** Maximum number of objects that the callbacks may name together. */
  readonly objects: number
}

/** Maximum number of callbacks and objects that one request may ask for. */
const MAX_CALLBACKS = 100
const MAX_OBJECTS = 10_000

/**
 * Decides what is worth leasing now:
 * - nothing while no request may leave for the client service;
 * - one callback to probe with while the breaker is half-open, if the agent holds none;
 * - otherwise enough objects to fill the slots and to keep as many requests waiting. The rest stays for other agents.
 * @returns undefined if nothing is worth leasing
 */
export function leaseRoom(now: {
  readonly held: number
  readonly maxHeld: number
  readonly requests: { readonly inFlight: number; readonly waiting: number; readonly concurrency: number }
  readonly breaker: { readonly state: 'closed' | 'open' | 'half-open'; readonly waitMs: number }
}): LeaseRoom | undefined {
  const { held, maxHeld, requests, breaker } = now
  const { inFlight, waiting, concurrency } = requests
  const callbacks = breaker.state === 'closed' ? Math.min(MAX_CALLBACKS, maxHeld - held) : 1 - held
  const objects = Math.min(MAX_OBJECTS, 2 * concurrency - inFlight - waiting)
  return breaker.waitMs > 0 || callbacks <= 0 || objects <= 0 ? undefined : { callbacks, objects }
}
