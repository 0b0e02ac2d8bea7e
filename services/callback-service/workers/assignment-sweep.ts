import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

export interface AssignmentSweepOptions {
  /** Returns the ids of the archived agents. */
  readonly archived: () => readonly string[]
  /** Drops what is assigned to these agents. */
  readonly drop: (agents: readonly string[]) => Promise<void>
  readonly logger: Logger
}

const REST_MS = 60_000

/**
 * Drops once a minute what is still assigned to archived agents, because nobody would ever lease it. Archiving drops it too, but a replica may
 * die before it does, and somebody may assign a callback at the same moment.
 */
export function assignmentSweep({ archived, drop, logger }: AssignmentSweepOptions): Loop {
  return new Loop({
    name: 'drop assignments of archived agents',
    logger,
    isReportedElsewhere: isStorageTrouble,
    pass: async () => {
      const agents = archived()
      if (agents.length > 0) await drop(agents)
      return REST_MS
    },
  })
}
