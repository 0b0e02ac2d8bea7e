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
/** Objects that expire within this time of each other share a statement. */
const GATHER_MS = 3
/** Longest rest. Other processes store objects that this process does not know of. */
const MAX_REST_MS = 500

/**
 * Deletes objects when they expire. It sleeps until the nearest `expires_at`, deletes expired objects in batches, and continues at once
 * after a full batch. Objects are never deleted early, and late only by a timer and a statement. Any number of services can run it
 * together. It needs no timer per object, so it simply continues after a restart.
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
