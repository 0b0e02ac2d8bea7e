import type { Sent } from './sender.ts'

/** Clocks of two processes and of the database agree to so much, and no better. */
const TOLERANCE_MS = 5

/** A callback that was answered with 202, and which one it is in the order of the inbox. */
export interface Placed {
  readonly sent: Sent
  readonly place: number
}

/**
 * How many callbacks stand behind one that was sent when they had been answered. Callbacks that were on their way at the same time have no order:
 * nobody could tell which was first.
 */
export function countOutOfOrder(callbacks: readonly Placed[]): number {
  const lastSentFirst = callbacks.toSorted((a, b) => b.sent.sentAtMs - a.sent.sentAtMs)
  const lastAnsweredFirst = callbacks.toSorted((a, b) => answeredAtMs(b.sent) - answeredAtMs(a.sent))
  let [later, firstPlace, outOfOrder] = [0, Number.POSITIVE_INFINITY, 0]
  for (const { sent, place } of lastAnsweredFirst) {
    for (let next = lastSentFirst[later]; next && next.sent.sentAtMs > answeredAtMs(sent) + TOLERANCE_MS; next = lastSentFirst[later]) {
      firstPlace = Math.min(firstPlace, next.place)
      later += 1
    }
    if (place > firstPlace) outOfOrder += 1
  }
  return outOfOrder
}

/** Epoch milliseconds. */
export function answeredAtMs({ sentAtMs, ms }: Sent): number {
  return sentAtMs + ms
}
