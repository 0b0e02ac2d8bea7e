import type { ObjectId } from './object-id.ts'

/** An object asked us to leave it alone. */
export interface RetryAfter {
  /** For how long. */
  readonly ms: number
  /** As in `FetchError`. */
  readonly reason: string
}

/** Number of distinct objects that must push back within `WINDOW_MS` before the whole host is paused. */
const HOST_OBJECTS = 3
const WINDOW_MS = 1000
/** Maximum number of objects to remember. Beyond that, the oldest is dropped. */
const MAX_OBJECTS = 10_000

/**
 * Knows who sent a Retry-After, and until when it lasts. One object speaks for itself. The whole host is paused if, within a second, at
 * least three distinct objects push back, and no fewer objects than requests are answered. The pause is the last of these
 * Retry-Afters.
 */
export class RetryAfters {
  readonly #maxMs: number
  readonly #objects = new Map<ObjectId, { readonly untilMs: number; readonly reason: string }>()
  readonly #pushedBack = new Set<ObjectId>()
  #answered = 0
  #windowStartMs = 0
  #hostUntilMs = 0

  /** @param options.maxMs longest time that a Retry-After may ask for */
  constructor(options: { readonly maxMs: number }) {
    this.#maxMs = options.maxMs
  }

  /** @returns how long the object must still be left alone; undefined if it need not be */
  of(id: ObjectId, now: number): RetryAfter | undefined {
    const quiet = this.#objects.get(id)
    return quiet && quiet.untilMs > now ? { ms: quiet.untilMs - now, reason: quiet.reason } : undefined
  }

  /** Milliseconds for which the whole host is still paused; 0 if it is not. */
  hostMs(now: number): number {
    return Math.max(0, this.#hostUntilMs - now)
  }

  /** Whether an object pushed back within the last second, so that others may follow. */
  isCounting(now: number): boolean {
    this.#roll(now)
    return this.#pushedBack.size > 0
  }

  answered(now: number): void {
    this.#roll(now)
    this.#answered += 1
  }

  /** Notes the Retry-After of an object. @returns true if this pauses the host */
  pushedBack(id: ObjectId, { ms, reason }: RetryAfter, now: number): boolean {
    const untilMs = now + Math.min(ms, this.#maxMs)
    this.#objects.delete(id)
    this.#objects.set(id, { untilMs, reason })
    if (this.#objects.size > MAX_OBJECTS) this.#objects.delete(this.#objects.keys().next().value as ObjectId)
    this.#roll(now)
    this.#pushedBack.add(id)
    if (this.hostMs(now) > 0 || this.#pushedBack.size < Math.max(HOST_OBJECTS, this.#answered)) return false
    this.#hostUntilMs = untilMs
    return true
  }

  /** Ends the pause, because the host is well. Forgets which objects have pushed back. */
  endPause(): void {
    this.#hostUntilMs = 0
    this.#pushedBack.clear()
  }

  #roll(now: number): void {
    if (now - this.#windowStartMs < WINDOW_MS) return
    this.#windowStartMs = now
    this.#answered = 0
    this.#pushedBack.clear()
  }
}
