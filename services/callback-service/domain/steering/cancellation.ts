import type { Found } from './steered.ts'

/** The callback to cancel, as the database has it. Each call is one statement. */
export interface Cancellable {
  /** Cancels it unless it runs or is finished. @returns the state before */
  cancel(): Promise<Found>
  /** Wishes it cancelled when it leaves its worker. Its worker then ends the attempt. @returns undefined if it does not run */
  wish(): Promise<Wish | undefined>
  /** Whether it still runs, with that wish. Somebody else may have replaced the wish, or withdrawn it. */
  isWished(): Promise<boolean>
}

/** The wish that a running callback has now. */
export interface Wish {
  /** Takes the wish back, unless the callback has left its worker. If somebody else had the same wish before, it stays. */
  withdraw(): Promise<void>
}

export interface Patience {
  readonly waitMs: number
  /** Whether nobody waits for the answer any more. */
  readonly isGone: () => boolean
  readonly nowMs: () => number
  readonly rest: (ms: number) => Promise<void>
}

const POLL_MS = 200

/**
 * Cancels a callback. If it runs, it waits until its worker has given it back. After an error, the wish stays.
 * @returns the state in which the last try found it: `running` if it still runs
 */
export async function cancelWithin(callback: Cancellable, { waitMs, isGone, nowMs, rest }: Patience): Promise<Found> {
  const endMs = nowMs() + waitMs
  const isOver = (): boolean => nowMs() >= endMs || isGone()
  for (;;) {
    const found = await callback.cancel()
    if (found !== 'running' || isOver()) return found
    const wish = await callback.wish()
    if (!wish) continue
    while (!isOver() && (await callback.isWished())) await rest(Math.min(POLL_MS, Math.max(0, endMs - nowMs())))
    // Once it has left its worker, this changes nothing, and the next try finds what became of it. If it still runs, that try wishes again.
    await wish.withdraw()
  }
}
