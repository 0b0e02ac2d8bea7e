import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { Sighting } from '../domain/agents/sightings.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

export interface AgentSightingsOptions {
  /** Whether there is any agent. Without one there is nothing to write or to read. */
  readonly hasAgents: () => boolean
  readonly take: () => readonly Sighting[]
  readonly putBack: (sightings: readonly Sighting[]) => void
  /** Writes what is new, and returns whom any replica has seen. */
  readonly write: (sightings: readonly Sighting[]) => Promise<readonly { readonly id: string; readonly ago_ms: number }[]>
  readonly learn: (agentId: string, agoMs: number) => void
  readonly logger: Logger
}

const REST_MS = 5000

/**
 * Writes every few seconds which agents this replica has seen and what they did, and learns whom the others have seen. What was noted since the
 * last pass is lost when the process ends, and counts twice if nobody knows whether it was written.
 */
export function agentSightings({ hasAgents, take, putBack, write, learn, logger }: AgentSightingsOptions): Loop {
  return new Loop({
    name: 'write agent sightings',
    logger,
    maxRetryMs: REST_MS,
    isReportedElsewhere: isStorageTrouble,
    pass: async () => {
      const sightings = take()
      if (sightings.length === 0 && !hasAgents()) return REST_MS
      try {
        for (const { id, ago_ms } of await write(sightings)) learn(id, ago_ms)
      } catch (error) {
        putBack(sightings)
        throw error
      }
      return REST_MS
    },
  })
}
