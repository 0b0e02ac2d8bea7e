import type { CallbackCounts } from '../accepting/workspace-forecast.ts'

/** Time after which callbacks that wait while none runs are worth a warning. */
export const STANDSTILL_MS = 30_000

/**
 * Notices that callbacks wait and none runs, on any replica. It looks at what regular counts of the database say. Callbacks that must not run
 * now, because their workspace is paused or its client service is down, wait for a known reason and do not count.
 */
export class Standstill {
  readonly #mayRun: (workspace: string) => boolean
  readonly #nowMs: () => number
  #sinceMs: number | undefined
  #waiting = 0

  constructor(options: { readonly mayRun: (workspace: string) => boolean; readonly nowMs: () => number }) {
    this.#mayRun = options.mayRun
    this.#nowMs = options.nowMs
  }

  /** Takes in a count of the database, by workspace. */
  counted(counts: ReadonlyMap<string, CallbackCounts>): void {
    let waiting = 0
    let isMoving = false
    for (const [workspace, { due, running, finished }] of counts) {
      if (due > 0 && this.#mayRun(workspace)) waiting += due
      if (running + finished > 0) isMoving = true
    }
    this.#waiting = waiting
    if (waiting === 0 || isMoving) this.#sinceMs = undefined
    else this.#sinceMs ??= this.#nowMs()
  }

  /** Notes that a callback began to run here. */
  ran(): void {
    this.#sinceMs = undefined
  }

  /** How many callbacks wait, and for how long none has run; undefined while all is well. */
  get now(): { readonly waiting: number; readonly ms: number } | undefined {
    if (this.#sinceMs === undefined) return undefined
    const ms = this.#nowMs() - this.#sinceMs
    return ms < STANDSTILL_MS ? undefined : { waiting: this.#waiting, ms }
  }
}
