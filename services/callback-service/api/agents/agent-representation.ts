import Type from 'typebox'
import { MAX_LEASES } from '../../domain/agents/agent.ts'
import { type AgentCallback, type AgentView, MAX_COUNTED } from '../../domain/agents/agent-view.ts'
import { DEFAULT_MAX_LEASES, MAX_AGENT_DESCRIPTION, MAX_AGENT_NAME } from '../../domain/agents/parse-agent.ts'
import { CALLBACK_STATES } from '../../domain/callback.ts'
import { hrefOfCallback } from '../callbacks/representation.ts'
import { EXAMPLE_ID, EXAMPLE_TIME, Time, Uuid } from '../schemas.ts'
import { WorkspaceName } from '../workspaces/subject.ts'
import { Labels, Line } from '../workspaces/workspace-representation.ts'

const Count = Type.Integer({ minimum: 0 })
const MaybeTime = Type.Union([Time, Type.Null()])
const MaxLeases = Type.Integer({ minimum: 1, maximum: MAX_LEASES, description: 'Callbacks that it may hold at a time.' })
const Name = Type.String({ minLength: 1, maxLength: MAX_AGENT_NAME, pattern: '^[^\\x00-\\x1f\\x7f-\\x9f]+$' })

export const AgentSchema = Type.Object(
  {
    kind: Type.Literal('Agent'),
    id: Uuid,
    href: Type.String(),
    workspace: WorkspaceName,
    name: Type.String(),
    description: Type.String(),
    labels: Labels,
    max_leases: MaxLeases,
    version: Type.String({ description: 'What the agent last said of itself. Empty: nothing.' }),
    alive: Type.Boolean({ description: 'Whether it sent a request within the last 90 s.' }),
    last_seen_at: MaybeTime,
    callbacks: Type.Object(
      {
        href: Type.String(),
        size: Type.Integer({
          minimum: 0,
          maximum: MAX_COUNTED,
          description: 'Callbacks that it holds, or that are assigned to it.',
        }),
      },
      { additionalProperties: false },
    ),
    objects_delivered: Count,
    callbacks_finished: Count,
    leases_lapsed: Type.Integer({ minimum: 0, description: 'Leases that ended without it.' }),
    created_at: Time,
    archived_at: MaybeTime,
  },
  { additionalProperties: false },
)

/** What a manager says of an agent. */
const MEMBERS = {
  name: Name,
  description: Type.Optional(Type.Union([Line(MAX_AGENT_DESCRIPTION), Type.Null()])),
  labels: Type.Optional(Type.Union([Labels, Type.Null()])),
  max_leases: Type.Optional(Type.Union([MaxLeases, Type.Null()], { description: `Null or absent: ${DEFAULT_MAX_LEASES}.` })),
}

export const NewAgentSchema = Type.Object(MEMBERS, { additionalProperties: false, description: 'Absent members have their defaults.' })
export const AgentChangesSchema = Type.Object({ ...MEMBERS, name: Type.Optional(Name) }, { additionalProperties: false })

export const AgentCallbackSchema = Type.Object(
  {
    kind: Type.Literal('AgentCallback'),
    id: Uuid,
    href: Type.String(),
    state: Type.Enum([...CALLBACK_STATES]),
    leased_at: Type.Union([Time, Type.Null()], { description: 'Null: the agent does not hold it.' }),
    lease_expires_at: MaybeTime,
    assigned: Type.Boolean({ description: 'Whether only this agent may lease it.' }),
    objects: Count,
    delivered: Type.Integer({ minimum: 0, description: 'Objects that it has delivered with this lease.' }),
  },
  { additionalProperties: false },
)

export function hrefOfAgent(id: string, query = ''): string {
  return `/v1/agents/${id}${query}`
}

export function hrefOfAgentCallbacks(id: string, query = ''): string {
  return `/v1/agents/${id}/callbacks${query}`
}

/** @param query what leads to the workspace of the agent (`workspaceQuery`) */
export function agentBody(agent: AgentView, query: string): object {
  const { id, workspace, name, description, labels, version } = agent
  return {
    kind: 'Agent',
    id,
    href: hrefOfAgent(id, query),
    ...{ workspace, name, description, labels },
    max_leases: agent.maxLeases,
    version,
    alive: agent.isAlive,
    last_seen_at: agent.lastSeenAt,
    callbacks: { href: hrefOfAgentCallbacks(id, query), size: agent.callbacks },
    objects_delivered: agent.objectsDelivered,
    callbacks_finished: agent.callbacksFinished,
    leases_lapsed: agent.leasesLapsed,
    created_at: agent.createdAt,
    archived_at: agent.archivedAt,
  }
}

export function agentCallbackBody({ id, state, isAssigned, objects, delivered, ...lease }: AgentCallback, query: string): object {
  const times = { leased_at: lease.leasedAt, lease_expires_at: lease.leaseExpiresAt }
  return { kind: 'AgentCallback', id, href: hrefOfCallback(id, query), state, ...times, assigned: isAssigned, objects, delivered }
}

export const EXAMPLE_AGENT = {
  kind: 'Agent',
  id: EXAMPLE_ID,
  href: hrefOfAgent(EXAMPLE_ID),
  workspace: 'plant',
  name: 'gateway-1',
  description: 'Hall 3, beside the controller',
  labels: ['site=hall-3'],
  max_leases: DEFAULT_MAX_LEASES,
  version: 'answerback-agent/1.0.0',
  alive: true,
  last_seen_at: EXAMPLE_TIME,
  callbacks: { href: hrefOfAgentCallbacks(EXAMPLE_ID), size: 1 },
  objects_delivered: 97,
  callbacks_finished: 3,
  leases_lapsed: 0,
  created_at: EXAMPLE_TIME,
  archived_at: null,
}

export const EXAMPLE_AGENT_CALLBACK = {
  kind: 'AgentCallback',
  id: EXAMPLE_ID,
  href: hrefOfCallback(EXAMPLE_ID),
  state: 'running',
  leased_at: EXAMPLE_TIME,
  lease_expires_at: '2026-11-22T02:55:45.725Z',
  assigned: false,
  objects: 100,
  delivered: 40,
}
