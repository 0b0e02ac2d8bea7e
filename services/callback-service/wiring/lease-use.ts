import type { Signal } from '#foundation/lifecycle/signal.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { Database } from '../adapters/postgres/database.ts'
import type { DatabaseClock } from '../adapters/postgres/database-clock.ts'
import { LeaseUse } from '../adapters/postgres/lease-use.ts'
import type { LeaseUses } from '../api/leases/lease-use.ts'
import type { Config } from '../config.ts'
import { OverloadedError } from '../domain/accepting/accept-errors.ts'
import type { AgentActivity } from '../domain/agents/agent.ts'
import type { CallbackEvent } from '../domain/callback-event.ts'
import { deliver, endLease, type LeaseRooms, renewLease } from '../domain/leasing/use-lease.ts'
import type { Fetching, Workspaces } from './fetching.ts'

/** Maximum number of objects that agents deliver at a time. They are stored with those of the workers, which must not wait long. */
const MAX_OBJECTS = 20_000

interface Needs {
  readonly config: Config
  readonly database: Database
  readonly clock: DatabaseClock
  /** Stores an object. */
  readonly store: Fetching['upsert']
  readonly workspaces: Workspaces
  readonly activity: AgentActivity
  /** Emitted with the workspace when it has callbacks that are due. */
  readonly arrived: Signal<string>
  readonly events: Signal<CallbackEvent>
  readonly logger: Logger
}

/** Joins what agents do with their leases. */
export function leaseUse({ config, database, clock, store, workspaces, activity, arrived, events, logger }: Needs): LeaseUses {
  const { leaseSeconds } = config.agents
  const { maxAttempts, retryBaseMs, retryMaxMs } = config.process
  const rooms: LeaseRooms = {
    leases: new LeaseUse({ prisma: database.prisma, clock, leaseSeconds }),
    store,
    keepsOffline: name => workspaces.find(name)?.keepOffline ?? config.objects.keepOffline,
    policy: { maxAttempts, backoff: { baseMs: retryBaseMs, maxMs: retryMaxMs }, random: Math.random },
    agents: activity,
    emit: event => events.emit(event),
    nowMs: () => performance.now(),
  }
  let underWay = 0
  return {
    renew: async (key, seconds = leaseSeconds) => (await renewLease(rooms, key, seconds)).lease,
    deliver: async (key, objects) => {
      if (underWay + objects.length > MAX_OBJECTS) throw new OverloadedError()
      underWay += objects.length
      try {
        return await deliver(rooms, key, objects)
      } finally {
        underWay -= objects.length
      }
    },
    end: async (key, ending) => {
      const { state, held } = await endLease(rooms, key, ending)
      const { id: callbackId, workspace, attempt } = held.callback
      const left = { callback_id: callbackId, workspace, agent: held.agentName, attempt }
      if (state === 'failed') logger.error(left, 'callback failed')
      else logger.debug({ ...left, state }, 'callback left its agent')
      if (state === 'pending') arrived.emit(workspace)
      return state
    },
  }
}
