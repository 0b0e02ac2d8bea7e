import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Signal } from '#foundation/lifecycle/signal.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { AccessChanges } from '../adapters/postgres/access-changes.ts'
import { AgentAssignments } from '../adapters/postgres/agent-assignments.ts'
import { listAgentCallbacks } from '../adapters/postgres/agent-callbacks.ts'
import { noteSightings } from '../adapters/postgres/agent-sightings.ts'
import { AgentStore } from '../adapters/postgres/agent-store.ts'
import type { Database } from '../adapters/postgres/database.ts'
import type { WorkspaceDirectory } from '../adapters/postgres/workspace-directory.ts'
import type { AgentCallbacks } from '../api/agents/agent-callback-routes.ts'
import type { Agents } from '../api/agents/agent-routes.ts'
import type { AgentActivity } from '../domain/agents/agent.ts'
import type { AgentKey, AgentView } from '../domain/agents/agent-view.ts'
import { Sightings } from '../domain/agents/sightings.ts'
import type { CallbackState, CallbackView } from '../domain/callback.ts'
import type { CallbackEvent } from '../domain/callback-event.ts'
import { agentSightings } from '../workers/agent-sightings.ts'
import { assignmentSweep } from '../workers/assignment-sweep.ts'
import type { ChangeAccess } from './access-changes.ts'

interface Needs {
  readonly work: Database
  readonly read: Database
  readonly changes: AccessChanges
  readonly changing: ChangeAccess
  readonly directory: Pick<WorkspaceDirectory, 'agentsOf' | 'archivedAgents' | 'hasAgents'>
  /** Finds callbacks that are still in the spool. */
  readonly inbox: { find(workspace: string, id: string): Promise<CallbackView | undefined> }
  /** Emitted with the workspace when it has callbacks that are due. */
  readonly arrived: Signal<string>
  readonly events: Signal<CallbackEvent>
  /** Runs a read, unless too many are under way. */
  readonly limited: <T>(read: () => Promise<T>) => Promise<T>
  /** Runs a read of a list, unless the workspace has too many under way. */
  readonly listed: <T>(workspace: string, read: () => Promise<T>) => Promise<T>
  /** Runs a change of a callback when it is its turn. */
  readonly inTurn: <T>(workspace: string, change: () => Promise<T>) => Promise<T>
  readonly logger: Logger
}

/** The agents as routes and leases need them. */
export interface AgentRooms {
  readonly agents: Agents & AgentCallbacks
  /** Takes note of what agents do. */
  readonly activity: AgentActivity
  /** Whether an agent of the workspace that may lease is alive, as any replica has seen. */
  readonly isAnyAlive: (workspace: string) => boolean
  readonly parts: readonly Part[]
}

export function agentRooms(needs: Needs): AgentRooms {
  const { work, read, changes, changing, directory, inbox, arrived, events, limited, listed, inTurn, logger } = needs
  const store = new AgentStore({ changes, prisma: read.prisma })
  const assignments = new AgentAssignments(work.prisma)
  const sightings = new Sightings({ nowMs: () => performance.now(), onRevival: () => writing.wake() })
  const writing = agentSightings({
    hasAgents: () => directory.hasAgents,
    take: () => sightings.take(),
    putBack: taken => sightings.putBack(taken),
    write: taken => noteSightings(work.prisma, taken),
    learn: (id, agoMs) => sightings.learn(id, agoMs),
    logger,
  })
  const sweep = assignmentSweep({ archived: () => directory.archivedAgents, drop, logger })

  /** This replica may know more than the database. */
  const current = (agent: AgentView): AgentView => ({ ...agent, isAlive: agent.isAlive || sightings.isAlive(agent.id) })
  const shown = (agent: AgentView | undefined): AgentView | undefined => agent && current(agent)

  async function drop(archived: readonly string[]): Promise<void> {
    let dropped = await assignments.dropArchived(archived)
    while (dropped.length > 0) {
      for (const workspace of new Set(dropped)) arrived.emit(workspace)
      dropped = await assignments.dropArchived(archived)
    }
  }

  const change = async (what: string, { workspace, id }: AgentKey, make: () => Promise<AgentView | undefined>) =>
    shown(await changing(what, () => ({ workspace, agent_id: id }), make))

  const tell = (what: string, { workspace, id }: AgentKey, callback: string, state: CallbackState): void => {
    logger.info({ workspace, agent_id: id, callback_id: callback }, what)
    events.emit({ event: 'steered', id: callback, workspace, state })
    if (state === 'pending') arrived.emit(workspace)
  }

  return {
    agents: {
      find: async key => shown(await limited(() => store.find(key))),
      list: async (workspace, page) => (await listed(workspace, () => limited(() => store.list(workspace, page)))).map(current),
      create: (workspace, members) =>
        changing(
          'agent created',
          made => ({ workspace, agent_id: made?.agent.id }),
          () => store.create(workspace, members),
        ),
      change: (key, members) => change('agent changed', key, () => store.change(key, members)),
      async archive(key) {
        const archived = await change('agent archived', key, () => store.archive(key))
        if (archived) await drop([archived.id])
        return archived
      },
      restore: key => change('agent restored', key, () => store.restore(key)),
      listCallbacks: (key, page) => listed(key.workspace, () => limited(() => listAgentCallbacks(read.prisma, key, page))),
      assign: (key, callback) =>
        inTurn(key.workspace, async () => {
          if (await inbox.find(key.workspace, callback)) return 'callback_spooled'
          const { outcome, state } = await assignments.assign(key, callback)
          if (state !== undefined) tell('callback assigned', key, callback, state)
          return outcome
        }),
      takeAway: (key, callback) =>
        inTurn(key.workspace, async () => {
          const state = await assignments.takeAway(key, callback)
          if (state !== undefined) tell('callback taken away', key, callback, state)
          return state !== undefined
        }),
    },
    activity: sightings,
    isAnyAlive: workspace => directory.agentsOf(workspace).some(({ id, isArchived }) => !isArchived && sightings.isAlive(id)),
    parts: [writing, sweep],
  }
}
