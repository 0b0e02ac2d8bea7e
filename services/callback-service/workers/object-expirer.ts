import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

/** The store, as the expirer needs it. */
export interface ExpiringStore {
  deleteExpired(limit: number): Promise<{ readonly latenessMs: readonly number[]; readonly nextInMs: number | undefined }>
}

export interface ObjectExpirerOptions {
  readonly store: ExpiringStore
  readonly onExpired: (latenessMs: readonly number[]) => void
  readonly logger: Logger
}

const BATCH = 1000
/** Objects that expire within so many milliseconds of each other share a statement. */
const GATHER_MS = 3
/** Other processes store objects we hear nothing of. */
const MAX_REST_MS = 500

/**
 * Deletes objects when their time has come: sleeps until the nearest `expires_at`, deletes what is due in batches, goes on at once
 * after a full one. Never early; late by a timer and a statement. Any number of services may do so at once. No timer per object:
 * a restart just continues.
 */
export function objectExpirer({ store, onExpired, logger }: ObjectExpirerOptions): Loop {
  return new Loop({
    name: 'expire objects',
    logger,
    isReportedElsewhere: isStorageTrouble,
    pass: async () => {
      const { latenessMs, nextInMs } = await store.deleteExpired(BATCH)
      if (latenessMs.length > 0) onExpired(latenessMs)
      if (latenessMs.length === BATCH) return 0
      return Math.min(MAX_REST_MS, Math.max(GATHER_MS, nextInMs ?? MAX_REST_MS))
    },
  })
}
