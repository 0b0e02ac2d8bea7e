import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Signal } from '#foundation/lifecycle/signal.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { Database } from '../adapters/postgres/database.ts'
import { dueWorkspaces } from '../adapters/postgres/due-workspaces.ts'
import { findCandidates } from '../adapters/postgres/lease-candidates.ts'
import { endLeases } from '../adapters/postgres/lease-expiry.ts'
import { grantLeases, newLeaseToken, returnLeases } from '../adapters/postgres/lease-grants.ts'
import type { Agents } from '../api/leases/agent-of.ts'
import type { PostLeasesOptions } from '../api/leases/post-leases.ts'
import type { Config } from '../config.ts'
import type { AgentActivity } from '../domain/agents/agent.ts'
import type { CallbackEvent } from '../domain/callback-event.ts'
import { SUSPECT_CRASHES } from '../domain/processing/suspicion.ts'
import type { CallbackMetrics } from '../metrics.ts'
import { LeaseDesk } from '../workers/lease-desk.ts'
import { leaseSpan } from '../workers/lease-span.ts'
import { leaseSweep } from '../workers/lease-sweep.ts'
import type { Workspaces } from './fetching.ts'

interface Needs {
  readonly config: Config
  readonly metrics: CallbackMetrics
  readonly database: Database
  readonly directory: Workspaces & Agents & { readonly hasAgents: boolean }
  readonly activity: AgentActivity
  /** Emitted with the workspace when it has callbacks that are due. */
  readonly arrived: Signal<string>
  readonly events: Signal<CallbackEvent>
  /** Whether nothing may be leased now. */
  readonly isHeldUp: () => boolean
  readonly logger: Logger
}

/** The parts that give leases to agents, and end those that no agent ends. */
export interface Leases {
  /** Stop it before the port drains: the polls that wait get their answer. */
  readonly desk: LeaseDesk
  readonly routes: PostLeasesOptions
  readonly parts: readonly Part[]
}

export function leases({ config, metrics, database, directory, activity, arrived, events, isHeldUp, logger }: Needs): Leases {
  const { prisma } = database
  const { leaseSeconds, maxPolls } = config.agents
  const desk = new LeaseDesk({
    maxPolls: Math.min(maxPolls, Math.floor(config.http.maxConnections / 2)),
    find: query => findCandidates(prisma, query),
    grant: wanted => grantLeases(prisma, wanted, { leaseSeconds }),
    giveBack: unused => returnLeases(prisma, unused),
    newToken: newLeaseToken,
    // An agent may have a callback that was in crashes: no process of ours can die of it there.
    survey: () => dueWorkspaces(prisma, { maxCrashes: SUSPECT_CRASHES }),
    agentNow: id => directory.agent(id),
    isHeldUp,
    onGranted: lease => {
      metrics.leased.inc()
      const { callbackId: id, workspace, attempt, waitedMs } = lease
      events.emit({ event: 'claimed', id, workspace, attempt, waitedMs })
      return leaseSpan(lease)
    },
    pollMs: config.process.pollMs,
    logger,
  })
  arrived.on(workspace => {
    if (directory.find(workspace)?.fetcher === 'agents') desk.arrived(workspace)
  })
  events.on(happened => {
    if (happened.event === 'settled') desk.released(happened.workspace)
  })
  const sweep = leaseSweep({
    end: limit => endLeases(prisma, limit),
    hasAgents: () => directory.hasAgents,
    onEnded: ({ callbackId: id, agentId, hasLapsed, ...ended }) => {
      if (hasLapsed) {
        metrics.lapsed.inc()
        activity.lapsed(agentId)
        events.emit({ event: 'lapsed', workspace: ended.workspace })
      }
      events.emit({ event: 'settled', id, ...ended })
      if (ended.state === 'pending') arrived.emit(ended.workspace)
    },
    logger,
  })
  const routes: PostLeasesOptions = { agents: directory, desk, onSeen: (id, version) => activity.seen(id, version) }
  return { desk, routes, parts: [desk.looking, sweep] }
}
