/** Callbacks that one step changes at most. Other statements that want one of them wait for the step, so it must be short. */
const MAX_CHANGES = 500
/**
 * Steps of an operation with a rate begin this long apart, unless one callback takes longer. Shorter steps make more commits, longer ones make bursts of
 * callbacks that new ones must share the workers with.
 */
const STEP_SECONDS = 0.1
/** Callbacks that one step looks at. Counting changes nothing, so it takes more at a time. */
const LOOKS = { counting: 10_000, running: 2000 } as const
const MIN_LOOKS = 50

export const MIN_RATE = 0.01
export const MAX_RATE = 100_000

/** Number of callbacks that one step changes at most. @param ratePerSecond null: no limit */
export function changesOfStep(ratePerSecond: number | null): number {
  if (ratePerSecond === null) return MAX_CHANGES
  return Math.min(MAX_CHANGES, Math.ceil(ratePerSecond * STEP_SECONDS))
}

/**
 * How many callbacks the next step looks at. A step that the database cannot do in the time of one statement is tried again with half as many, so that an
 * operation gets on with a table that must be read from a slow disk.
 */
export class LookSize {
  #halvings = 0

  of(state: 'counting' | 'running'): number {
    return Math.max(MIN_LOOKS, LOOKS[state] >> this.#halvings)
  }

  failed(): void {
    this.#halvings = Math.min(8, this.#halvings + 1)
  }

  succeeded(): void {
    this.#halvings = Math.max(0, this.#halvings - 1)
  }
}
