import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

const INTERVAL_MS = 2000
/** Rest after a count, as a multiple of its duration. A count reads every row, so it may take at most 1 % of the time. */
const REST_PER_WORK = 100
/** Maximum rest. A count that hung with the database must not delay the next one by minutes. */
const MAX_REST_MS = 30_000

export interface RowCountOptions {
  readonly name: string
  /**
   * Counts. @returns how long the database worked on it, in milliseconds. The time until the answer is not enough: the first count waits for
   * its connection, and would delay the next one by many seconds.
   */
  readonly count: () => Promise<number>
  /** Minimum rest (default: 2 s). */
  readonly intervalMs?: number
  readonly logger: Logger
}

/** Counts rows regularly: with a rest of at least 2 s, and of a hundred times the duration of the count, at most 30 s. */
export function rowCount({ name, count, intervalMs, logger }: RowCountOptions): Loop {
  return new Loop({
    name,
    logger,
    isReportedElsewhere: isStorageTrouble,
    pass: async () => restAfter(await count(), intervalMs),
  })
}

/** Returns the rest after a count that took so long, both in milliseconds. */
export function restAfter(tookMs: number, intervalMs = INTERVAL_MS): number {
  return Math.min(MAX_REST_MS, Math.max(intervalMs, REST_PER_WORK * tookMs))
}
