import type { ServerResponse } from 'node:http'
import { preferenceOf } from '#foundation/http/prefer.ts'
import type { CallbackView } from '../../domain/callback.ts'

/** Longest time that a request may wait for the end of a callback. */
export const MAX_WAIT_SECONDS = 30

/** The requests that wait for the end of a callback. */
export interface Waiters {
  /**
   * Takes a place for a request.
   * @param mayBeFinished whether to look at once, because the callback may have been finished before
   * @returns undefined if no place is free, or the service stops
   */
  take(id: string, options: { readonly waitMs: number; readonly mayBeFinished: boolean }): WaitingPlace | undefined
}

export interface WaitingPlace {
  /** The finished callback; undefined if it was not finished in time, or the request left. */
  readonly finished: Promise<CallbackView | undefined>
  /** Gives up the place. Safe to repeat. */
  leave(): void
}

/** Waits until the callback is finished, the time is over, or the connection is lost. */
export function waitFor(place: WaitingPlace, response: ServerResponse): Promise<CallbackView | undefined> {
  // A response whose connection is lost already never closes again.
  if (response.destroyed) place.leave()
  else response.once('close', () => place.leave())
  return place.finished
}

/**
 * Reads `Prefer: wait=N` (https://www.rfc-editor.org/rfc/rfc7240#section-4.3). More than 30 seconds count as 30.
 * @returns seconds; 0 if the sender does not want to wait, or the value is not a number of seconds
 */
export function preferredWait(header: string | undefined): number {
  if (header === undefined) return 0
  const seconds = preferenceOf(header, 'wait') ?? ''
  return /^\d+$/.test(seconds) ? Math.min(MAX_WAIT_SECONDS, Number(seconds)) : 0
}

/** Reads the query parameter `wait`. @returns undefined if it is not 0 to 30 */
export function readWait(text: string): number | undefined {
  return /^\d{1,2}$/.test(text) && Number(text) <= MAX_WAIT_SECONDS ? Number(text) : undefined
}
