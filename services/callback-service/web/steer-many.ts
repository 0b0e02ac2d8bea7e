import type { ListedCallback } from './callbacks.ts'
import { number } from './format.ts'
import type { Action } from './steering.ts'

/** How far a change of several callbacks is, one after the other. */
export interface SteeredMany {
  readonly of: number
  readonly done: number
  /** Those that the service refused, or that it did not answer, by the code of the problem. */
  readonly refused: ReadonlyMap<string, number>
}

/**
 * Changes callbacks one after the other, so that it never holds more than one request. It ends early when the service does not answer.
 * @param one changes a callback
 */
export async function steerMany(
  callbacks: readonly ListedCallback[],
  one: (callback: ListedCallback) => Promise<void>,
  onProgress: (progress: SteeredMany) => void,
  signal: AbortSignal,
): Promise<SteeredMany> {
  const refused = new Map<string, number>()
  const progress = { of: callbacks.length, done: 0, refused }
  onProgress({ ...progress })
  for (const callback of callbacks) {
    if (signal.aborted) break
    try {
      await one(callback)
      progress.done += 1
    } catch (error) {
      const { code = NO_ANSWER } = error as { code?: string }
      refused.set(code, (refused.get(code) ?? 0) + 1)
      if (code === NO_ANSWER) break
    }
    onProgress({ ...progress })
  }
  return progress
}

const NO_ANSWER = 'no_answer'

/** Returns how many were tried, with or without success. */
export function triedOf({ done, refused }: SteeredMany): number {
  return done + refused.values().reduce((sum, count) => sum + count, 0)
}

const DONE: Readonly<Record<Action['kind'], string>> = {
  retry: 'sent round again',
  cancel: 'cancelled',
  pause: 'paused',
  resume: 'resumed',
  prioritise: 'got the priority',
}

/** Says what became of all: `38 of 40 paused. Refused: 2 callback_finished.` */
export function outcomeText(kind: Action['kind'], { of, done, refused }: SteeredMany): string {
  const codes = [...refused].flatMap(([code, count]) => (code === NO_ANSWER ? [] : [`${number(count)} ${code}`]))
  const lost = refused.has(NO_ANSWER) ? ' The service did not answer then: nobody knows whether it changed one more.' : ''
  return `${number(done)} of ${number(of)} ${DONE[kind]}.${codes.length > 0 ? ` Refused: ${codes.join(', ')}.` : ''}${lost}`
}
