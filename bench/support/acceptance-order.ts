import type { Sent } from './sender.ts'

/** Largest difference between the clocks of two processes and of the database. */
const TOLERANCE_MS = 5

/** A callback that was answered with 202, with its position in the inbox. */
export interface Placed {
  readonly sent: Sent
  readonly place: number
}

/**
 * Counts the callbacks that stand behind one that was sent after they had been answered. Callbacks that were under way at the same time
 * have no order, because nobody can tell which came first.
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

/** Returns when a callback was answered, in epoch milliseconds. */
export function answeredAtMs({ sentAtMs, ms }: Sent): number {
  return sentAtMs + ms
}
