import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

const INTERVAL_MS = 2000
/** Rest after a count, as a multiple of its duration. A count reads every row, so it may take at most 1 % of the time. */
const REST_PER_WORK = 100
/** Longest rest. A count that hung with the database must not delay the next one by minutes. */
const MAX_REST_MS = 30_000

export interface RowCountOptions {
  readonly name: string
  /**
   * Counts. @returns how long the database worked on it, in milliseconds. The time until the answer is not enough: the first count waits for
   * its connection, and would delay the next one by many seconds.
   */
  readonly count: () => Promise<number>
  readonly logger: Logger
}

/** Counts rows regularly: at most every 2 s, with a rest of a hundred times the duration of the count, at most 30 s. */
export function rowCount({ name, count, logger }: RowCountOptions): Loop {
  return new Loop({
    name,
    logger,
    isReportedElsewhere: isStorageTrouble,
    pass: async () => restAfter(await count()),
  })
}

/** Returns the rest after a count that took so long, both in milliseconds. */
export function restAfter(tookMs: number): number {
  return Math.min(MAX_REST_MS, Math.max(INTERVAL_MS, REST_PER_WORK * tookMs))
}
