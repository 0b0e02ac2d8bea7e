import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

export interface KeyUsesOptions {
  /** Returns the ids of the keys used since the last call. */
  readonly take: () => readonly string[]
  /** Notes a use again that could not be written. */
  readonly putBack: (keyId: string) => void
  readonly write: (ids: readonly string[]) => Promise<void>
  readonly logger: Logger
}

const REST_MS = 60_000

/** Writes once a minute which keys were used. The notes of the last minute are lost when the process ends. */
export function keyUses({ take, putBack, write, logger }: KeyUsesOptions): Loop {
  return new Loop({
    name: 'write key uses',
    logger,
    isReportedElsewhere: isStorageTrouble,
    pass: async () => {
      const used = take()
      try {
        if (used.length > 0) await write(used)
      } catch (error) {
        used.forEach(putBack)
        throw error
      }
      return REST_MS
    },
  })
}
