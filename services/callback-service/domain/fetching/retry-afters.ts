import type { ObjectId } from '../object-id.ts'

/** What an object said when it pushed back. */
export interface RetryAfter {
  readonly ms: number
  /** As in `FetchError`. */
  readonly reason: string
}

/** So many distinct objects must push back within `WINDOW_MS` before the whole host is paused. */
const HOST_OBJECTS = 3
const WINDOW_MS = 1000
/** Objects remembered; the oldest is dropped beyond that. */
const MAX_OBJECTS = 10_000

/**
 * Who asked for quiet (Retry-After), and until when. An object asks for itself. The host asks when within a second at least three distinct
 * objects push back, and at least as many as requests are answered: it is paused for as long as the last of them said.
 */
export class RetryAfters {
  readonly #maxMs: number
  readonly #objects = new Map<ObjectId, { readonly untilMs: number; readonly reason: string }>()
  readonly #pushedBack = new Set<ObjectId>()
  #answered = 0
  #windowStartMs = 0
  #hostUntilMs = 0

  /** @param options.maxMs bound for what a Retry-After may ask */
  constructor(options: { readonly maxMs: number }) {
    this.#maxMs = options.maxMs
  }

  /** @returns how long an object wants to be left alone from now on; undefined when it does not */
  of(id: ObjectId, now: number): RetryAfter | undefined {
    const quiet = this.#objects.get(id)
    return quiet && quiet.untilMs > now ? { ms: quiet.untilMs - now, reason: quiet.reason } : undefined
  }

  /** Milliseconds for which nobody may be asked anything. */
  hostMs(now: number): number {
    return Math.max(0, this.#hostUntilMs - now)
  }

  /** Whether an object pushed back within the last second: others may follow. */
  isCounting(now: number): boolean {
    this.#roll(now)
    return this.#pushedBack.size > 0
  }

  answered(now: number): void {
    this.#roll(now)
    this.#answered += 1
  }

  /** @returns true when this pauses the host */
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

  /** It was not the host: what pushed back so far counts for nothing. */
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
