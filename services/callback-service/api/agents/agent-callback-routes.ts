import type { Request } from 'express'
import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import {
  linkHeader,
  listSchema,
  listText,
  PAGE_HEADERS,
  PAGE_PARAMETERS,
  type PageRequest,
  type Paging,
  pageOf,
  readPageRequest,
} from '#foundation/http/paging.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import { pathParameter } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import type { AgentCallback, AgentKey, Assignment } from '../../domain/agents/agent-view.ts'
import { callbackNotFound } from '../callbacks/callback-key.ts'
import { callerOf } from '../gates/caller-of.ts'
import { UUID, Uuid } from '../schemas.ts'
import { workspaceFilter, workspaceQuery } from '../workspace-links.ts'
import { requireNoForm } from '../workspaces/subject.ts'
import { AGENT_PROBLEMS, agentKeyOf, agentNotFound } from './agent-path.ts'
import { AgentCallbackSchema, agentCallbackBody, EXAMPLE_AGENT_CALLBACK, hrefOfAgentCallbacks } from './agent-representation.ts'

/** The callbacks of agents, as the routes need them. A change is on the disk when its promise resolves. */
export interface AgentCallbacks {
  /** Reads a page, in the order of the ids. @param page.limit one more than the page shows @returns undefined if there is no such agent */
  listCallbacks(key: AgentKey, page: PageRequest<string>): Promise<readonly AgentCallback[] | undefined>
  /** Lets only this agent lease a callback. The lease of another agent ends. */
  assign(key: AgentKey, callback: string): Promise<Assignment>
  /** @returns whether the agent held the callback, or it was assigned to it */
  takeAway(key: AgentKey, callback: string): Promise<boolean>
}

/** Routes that show what an agent works on, assign callbacks to it by hand, and take them away. */
export function agentCallbackRoutes(agents: AgentCallbacks): readonly Route[] {
  return [
    route({
      ...ONE,
      method: 'GET',
      path: '/v1/agents/:id/callbacks',
      operationId: 'listAgentCallbacks',
      summary: 'Lists the callbacks that an agent holds or that are assigned to it',
      access: 'read',
      params: Type.Object({ id: Uuid }),
      query: Type.Object(PAGE_PARAMETERS),
      answers: {
        200: {
          description: 'A page of callbacks, in the order of their ids.',
          schema: listSchema('AgentCallbackList', 'callbacks', AgentCallbackSchema),
          headers: PAGE_HEADERS,
          example: {
            kind: 'AgentCallbackList',
            id: 'callbacks',
            href: `${hrefOfAgentCallbacks(EXAMPLE_AGENT_CALLBACK.id)}?limit=100`,
            size: 1,
            items: [EXAMPLE_AGENT_CALLBACK],
          },
        },
      },
      problems: AGENT_PROBLEMS,
      parse(request) {
        const key = agentKeyOf(request)
        const paging = pagingOf(key)
        return {
          key,
          paging,
          page: readPageRequest(request, paging),
          filters: workspaceFilter(request),
          query: workspaceQuery(callerOf(request)),
        }
      },
      async execute({ key, paging, page: asked, filters, query }) {
        const found = await agents.listCallbacks(key, { ...asked, limit: asked.limit + 1 })
        if (!found) throw agentNotFound()
        const page = pageOf({ paging, asked, filters, found, keyOf: ({ id }) => id })
        const texts = page.items.map(callback => JSON.stringify(agentCallbackBody(callback, query)))
        return jsonAnswer(200, listText('AgentCallbackList', 'callbacks', page, texts), linkHeader(page))
      },
    }),
    route({
      ...ONE,
      method: 'PUT',
      operationId: 'assignCallback',
      summary: 'Lets only this agent lease a callback, and ends the lease of another agent',
      answers: { 204: { description: 'The callback is assigned to the agent.' } },
      problems: [
        ...AGENT_PROBLEMS,
        ...['callback_not_found', 'callback_finished', 'callback_spooled', 'agent_archived', 'fetcher_is_service'],
        ...['unsupported_media_type', 'bad_request'],
      ],
      parse(request) {
        requireNoForm(request)
        return { key: agentKeyOf(request), callback: callbackOf(request) }
      },
      async execute({ key, callback }) {
        const outcome = await agents.assign(key, callback)
        if (outcome !== 'assigned') throw refusalOf(outcome)
        return { status: 204, body: '' }
      },
    }),
    route({
      ...ONE,
      method: 'DELETE',
      operationId: 'takeCallbackAway',
      summary: 'Takes a callback away from an agent: its assignment and its lease end',
      answers: { 204: { description: 'The agent no longer has the callback.' } },
      problems: [...AGENT_PROBLEMS, 'callback_not_found', 'callback_spooled'],
      parse: request => ({ key: agentKeyOf(request), callback: callbackOf(request) }),
      async execute({ key, callback }) {
        if (!(await agents.takeAway(key, callback))) throw new HttpProblem('callback_not_found', 'The agent has no such callback.')
        return { status: 204, body: '' }
      },
    }),
  ]
}

const ONE = {
  path: '/v1/agents/:id/callbacks/:callback',
  access: 'manage',
  limits: 'reads',
  params: Type.Object({ id: Uuid, callback: Uuid }),
  query: Type.Object({}),
} as const

/** Each agent has a list of its own, so a cursor of one is not valid for another. */
function pagingOf({ id }: AgentKey): Paging<string> {
  return { list: `callbacks of ${id}`, path: hrefOfAgentCallbacks(id), write: String, read: text => (UUID.test(text) ? text : undefined) }
}

function callbackOf(request: Request): string {
  const id = pathParameter(request, 'callback')
  if (!UUID.test(id)) throw callbackNotFound()
  return id.toLowerCase()
}

function refusalOf(outcome: Exclude<Assignment, 'assigned'>): HttpProblem {
  switch (outcome) {
    case 'agent_not_found':
      return agentNotFound()
    case 'callback_not_found':
      return callbackNotFound()
    case 'callback_spooled':
      return new HttpProblem(outcome, 'The callback waits in the spool until the database is back.', { headers: { 'Retry-After': '1' } })
    case 'callback_finished':
      return new HttpProblem(outcome, 'The callback is finished, so nobody leases it.')
    case 'agent_archived':
      return new HttpProblem(outcome, 'The agent is archived. Restore it first.')
    case 'fetcher_is_service':
      return new HttpProblem(outcome, 'The service fetches the objects of this workspace. Set its fetcher to agents first.')
  }
}
