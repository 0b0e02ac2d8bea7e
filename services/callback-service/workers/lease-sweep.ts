import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { CallbackState } from '../domain/callback.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

/** A lease that ended without its agent. */
export interface EndedLease {
  readonly callbackId: string
  readonly workspace: string
  readonly agentId: string
  readonly attempt: number
  /** The state that the callback got. */
  readonly state: CallbackState
  /** Whether its time passed. Otherwise somebody wanted the callback back. */
  readonly hasLapsed: boolean
  /** Number of objects that the agent had to fetch. */
  readonly objects: number
  readonly waitedMs: number
  readonly workedMs: number
}

export interface LeaseSweepOptions {
  /** Ends leases whose time has passed, or whose callback somebody wants back. @param limit maximum number of leases */
  readonly end: (limit: number) => Promise<readonly EndedLease[]>
  readonly onEnded: (lease: EndedLease) => void
  /** Whether there are agents. Without any there are no leases. */
  readonly hasAgents: () => boolean
  readonly logger: Logger
}

const INTERVAL_MS = 500
const BATCH = 500

/** Ends leases that no agent will end. Every replica does it, twice a second, so no lease depends on the replica that gave it. */
export function leaseSweep({ end, onEnded, hasAgents, logger }: LeaseSweepOptions): Loop {
  return new Loop({
    name: 'end lapsed leases',
    logger,
    isReportedElsewhere: isStorageTrouble,
    pass: async () => {
      if (!hasAgents()) return INTERVAL_MS
      const ended = await end(BATCH)
      for (const lease of ended) onEnded(lease)
      const lapsed = ended.filter(({ hasLapsed }) => hasLapsed).length
      if (lapsed > 0) logger.warn({ count: lapsed }, 'leases of agents have lapsed')
      return ended.length === BATCH ? 0 : INTERVAL_MS
    },
  })
}
