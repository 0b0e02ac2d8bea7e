import type { ServerResponse } from 'node:http'
import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import { type Route, route } from '#foundation/http/route.ts'
import type { KnownAgent } from '../../domain/agents/agent.ts'
import type { Lease } from '../../domain/leasing/lease.ts'
import {
  type AskedPoll,
  DEFAULT_OBJECTS,
  MAX_CALLBACKS,
  MAX_OBJECTS,
  MAX_VERSION,
  MAX_WAIT_SECONDS,
  parsePoll,
} from '../../domain/leasing/parse-poll.ts'
import { callerOf, isStillAdmitted } from '../gates/caller-of.ts'
import { EXAMPLE_ID } from '../schemas.ts'
import { workspaceQuery } from '../workspace-links.ts'
import { BODY_PROBLEMS, optionalJsonBodyOf } from '../workspaces/subject.ts'
import { Line } from '../workspaces/workspace-representation.ts'
import { type Agents, agentOf } from './agent-of.ts'
import { EXAMPLE_LEASE, LeaseSchema, leaseText } from './lease-representation.ts'

/** Where agents get leases. */
export interface LeaseDesk {
  /** Takes a place for a request. @returns the place, or why there is none */
  take(
    poll: AskedPoll & { readonly agent: KnownAgent; readonly isAdmitted: () => boolean },
  ): LeasePlace | 'agent_archived' | 'too_many_polls' | 'overloaded'
}

interface LeasePlace {
  /** None: the time is over, or the request left. @throws {StorageUnavailableError} nobody knows whether there are callbacks for it */
  readonly leases: Promise<readonly Lease[]>
  /** Gives up the place. Safe to repeat. */
  leave(): void
}

export interface PostLeasesOptions {
  readonly agents: Agents
  readonly desk: LeaseDesk
  /** Notes that an agent lives. */
  readonly onSeen: (agentId: string, version: string | undefined) => void
}

const WaitSeconds = Type.Number({ minimum: 0, maximum: MAX_WAIT_SECONDS, default: 0, description: '0: it answers at once.' })
const MaxObjects = Type.Integer({
  minimum: 1,
  maximum: MAX_OBJECTS,
  default: DEFAULT_OBJECTS,
  description: 'Objects of all leases together. The first lease may have more.',
})

/** `POST /v1/agents/:id/leases`: leases callbacks to an agent, as soon as there are any for it. */
export function postLeases({ agents, desk, onSeen }: PostLeasesOptions): Route {
  return route({
    method: 'POST',
    path: '/v1/agents/:id/leases',
    operationId: 'leaseCallbacks',
    summary: 'Leases callbacks to an agent, and waits until there are any',
    access: 'agent',
    limits: 'none',
    params: Type.Object({ id: Type.String({ description: 'The id of the agent, or `self` for the agent of the key.' }) }),
    query: Type.Object({}),
    body: {
      types: ['application/json'],
      isOptional: true,
      schema: Type.Object(
        {
          wait_seconds: Type.Optional(WaitSeconds),
          max_callbacks: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_CALLBACKS, default: 1 })),
          max_objects: Type.Optional(MaxObjects),
          version: Type.Optional(Line(MAX_VERSION)),
        },
        { additionalProperties: false },
      ),
      example: { wait_seconds: 60, max_callbacks: 16 },
    },
    answers: {
      201: {
        description: 'The agent has these leases now.',
        schema: Type.Object(
          {
            kind: Type.Literal('LeaseList'),
            id: Type.Literal('leases'),
            href: Type.String(),
            size: Type.Integer({ minimum: 1 }),
            items: Type.Array(LeaseSchema),
          },
          { additionalProperties: false },
        ),
        headers: { 'Cache-Control': Type.Literal('no-store') },
        example: { kind: 'LeaseList', id: 'leases', href: `/v1/agents/${EXAMPLE_ID}/leases`, size: 1, items: [EXAMPLE_LEASE] },
      },
      204: { description: 'The time is over, and there was nothing for the agent. Ask again.' },
    },
    problems: [
      ...BODY_PROBLEMS,
      'invalid_parameter',
      'agent_not_found',
      'agent_archived',
      'too_many_polls',
      'overloaded',
      'storage_unavailable',
    ],
    async parse(request) {
      const body = await optionalJsonBodyOf(request)
      const asked = parsePoll(body)
      const agent = await agentOf(request, agents)
      return { agent, asked, query: workspaceQuery(callerOf(request)), isAdmitted: () => isStillAdmitted(request) }
    },
    async execute({ agent, asked, query, isAdmitted }, response) {
      onSeen(agent.id, asked.version)
      const place = desk.take({ agent, ...asked, isAdmitted })
      if (typeof place === 'string') throw refusal(place)
      const leases = await waitFor(place, response)
      if (leases.length === 0) return { status: 204, body: '' }
      const items = leases.map(lease => leaseText(lease, query)).join(',')
      const head = JSON.stringify({ kind: 'LeaseList', id: 'leases', href: `/v1/agents/${agent.id}/leases${query}`, size: leases.length })
      return jsonAnswer(201, `${head.slice(0, -1)},"items":[${items}]}`, { 'Cache-Control': 'no-store' })
    },
  })
}

function waitFor(place: LeasePlace, response: ServerResponse): Promise<readonly Lease[]> {
  // A response whose connection is lost already never closes again.
  if (response.destroyed) place.leave()
  else response.once('close', () => place.leave())
  return place.leases
}

const REFUSALS = {
  agent_archived: 'An archived agent gets no new lease.',
  too_many_polls: 'The agent has eight requests that wait already.',
  overloaded: 'Too many agents wait at this replica.',
} as const

function refusal(code: keyof typeof REFUSALS): HttpProblem {
  const headers = code === 'agent_archived' ? {} : { 'Retry-After': '1' }
  return new HttpProblem(code, REFUSALS[code], { headers })
}
