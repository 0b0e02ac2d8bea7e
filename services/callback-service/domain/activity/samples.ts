import type { Sample } from './sample.ts'

/** A sample and its time. A row without a sample is a gap: the process took none. */
export interface Row {
  /** Counts from 1. */
  readonly number: number
  /** Epoch milliseconds; greater than that of the row before. */
  readonly atMs: number
  readonly sample: Sample | undefined
}

/** The rows that a reader does not have yet. */
export interface News {
  readonly rows: readonly Row[]
  /** Whether these are all rows, because those that the reader has do not connect with them. */
  readonly isFromStart: boolean
}

/** A row later than this many intervals after the one before leaves a gap. */
const LATE_INTERVALS = 1.5
/** A clock that is behind by more than this many intervals has gone back. */
const STEP_INTERVALS = 0.5

/**
 * The last samples of the process. Their times always increase, whatever the clock does. If the clock goes forward, they go with it. If it
 * goes back, they go on from where they were, as far apart as the samples really were.
 */
export class Samples {
  readonly #max: number
  readonly #intervalMs: number
  readonly #rows: Row[] = []
  #number = 0
  #clockOffsetMs = 0

  constructor({ max, intervalMs }: { readonly max: number; readonly intervalMs: number }) {
    this.#max = max
    this.#intervalMs = intervalMs
  }

  /** What to add to the times of the rows to get times of the clock; 0 unless the clock went back. */
  get clockOffsetMs(): number {
    return this.#clockOffsetMs
  }

  /** The number of the last row; 0 before the first. */
  get lastNumber(): number {
    return this.#number
  }

  /** @param elapsedMs time since the sample before, by a monotonic clock @param clockMs the time that the clock shows */
  add(sample: Sample, { elapsedMs, clockMs }: { readonly elapsedMs: number; readonly clockMs: number }): void {
    const last = this.#rows.at(-1)
    const atMs = Math.round(last ? this.#timeAfter(last.atMs, { elapsedMs, clockMs }) : clockMs)
    if (last && atMs - last.atMs > LATE_INTERVALS * this.#intervalMs) this.#push(last.atMs + this.#intervalMs, undefined)
    this.#push(atMs, sample)
    this.#clockOffsetMs = Math.round(clockMs) - atMs
  }

  /** @param number of the last row that the reader has; undefined if it has none */
  after(number: number | undefined): News {
    const first = this.#rows[0]?.number ?? 1
    const isFromStart = number === undefined || number < first - 1 || number > this.#number
    return { rows: isFromStart ? this.#rows : this.#rows.slice(number - first + 1), isFromStart }
  }

  /** A clock that is a little slow, or slowed down by NTP, did not go back. The times follow it. */
  #timeAfter(lastMs: number, { elapsedMs, clockMs }: { readonly elapsedMs: number; readonly clockMs: number }): number {
    const expectedMs = lastMs + elapsedMs
    const hasGoneBack = clockMs < expectedMs - STEP_INTERVALS * this.#intervalMs
    return Math.max(lastMs + 1, hasGoneBack ? expectedMs : clockMs)
  }

  #push(atMs: number, sample: Sample | undefined): void {
    this.#number += 1
    this.#rows.push({ number: this.#number, atMs, sample })
    if (this.#rows.length > this.#max) this.#rows.shift()
  }
}
