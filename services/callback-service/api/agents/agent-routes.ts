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
import { type Route, route } from '#foundation/http/route.ts'
import type { AgentKey, AgentView } from '../../domain/agents/agent-view.ts'
import { type AgentMembers, MAX_AGENT_NAME, parseAgent, parseAgentChanges } from '../../domain/agents/parse-agent.ts'
import { callerOf } from '../gates/caller-of.ts'
import { Uuid } from '../schemas.ts'
import { workspaceFilter, workspaceQuery } from '../workspace-links.ts'
import { BODY_PROBLEMS, jsonBodyOf, requireNoForm, workspaceNotFound } from '../workspaces/subject.ts'
import { AGENT_PROBLEMS, agentKeyOf, agentNotFound } from './agent-path.ts'
import { AgentChangesSchema, AgentSchema, agentBody, EXAMPLE_AGENT, hrefOfAgent, NewAgentSchema } from './agent-representation.ts'

/** The agents, as the routes need them. A change is on the disk when its promise resolves. */
export interface Agents {
  find(key: AgentKey): Promise<AgentView | undefined>
  /** Reads a page, ordered by name. @param page.limit one more than the page shows */
  list(workspace: string, page: PageRequest<string>): Promise<readonly AgentView[]>
  /** @returns undefined if there is no such workspace */
  create(workspace: string, members: AgentMembers): Promise<{ readonly agent: AgentView; readonly key: string } | undefined>
  /** The three return undefined if there is no such agent. */
  change(key: AgentKey, members: Partial<AgentMembers>): Promise<AgentView | undefined>
  archive(key: AgentKey): Promise<AgentView | undefined>
  restore(key: AgentKey): Promise<AgentView | undefined>
}

/** Routes of the agents of a workspace. The answer to the POST shows the key of the agent; no other answer does. */
export function agentRoutes(agents: Agents): readonly Route[] {
  return [
    route({
      ...ALL,
      method: 'GET',
      operationId: 'listAgents',
      summary: 'Lists the agents of a workspace, ordered by name',
      access: 'read',
      query: Type.Object(PAGE_PARAMETERS),
      answers: {
        200: {
          description: 'A page of agents. Archived ones are among them.',
          schema: listSchema('AgentList', 'agents', AgentSchema),
          headers: PAGE_HEADERS,
          example: { kind: 'AgentList', id: 'agents', href: '/v1/agents?limit=100', size: 1, items: [EXAMPLE_AGENT] },
        },
      },
      problems: ['invalid_parameter', 'too_many_reads', 'storage_unavailable'],
      parse: request => ({ page: readPageRequest(request, PAGING), filters: workspaceFilter(request), ...placeOf(request) }),
      async execute({ page: asked, filters, workspace, query }) {
        const found = await agents.list(workspace, { ...asked, limit: asked.limit + 1 })
        const page = pageOf({ paging: PAGING, asked, filters, found, keyOf: ({ name }) => name })
        const texts = page.items.map(agent => JSON.stringify(agentBody(agent, query)))
        return jsonAnswer(200, listText('AgentList', 'agents', page, texts), linkHeader(page))
      },
    }),
    route({
      ...ALL,
      method: 'POST',
      operationId: 'createAgent',
      summary: 'Makes an agent, and shows its key, once',
      access: 'manage',
      query: Type.Object({}),
      body: { types: ['application/json'], schema: NewAgentSchema, example: { name: 'gateway-1', labels: ['site=hall-3'] } },
      answers: {
        201: {
          description: 'The new agent. Keep `key`: nobody can show it again.',
          schema: Type.Object(
            { ...AgentSchema.properties, key: Type.String({ pattern: '^ab_[A-Za-z0-9_-]{45,108}$' }) },
            { additionalProperties: false },
          ),
          headers: { Location: Type.String({ description: 'The href of the agent.' }), 'Cache-Control': Type.Literal('no-store') },
          example: { ...EXAMPLE_AGENT, key: `ab_plant_${'x'.repeat(43)}` },
        },
      },
      problems: [
        ...BODY_PROBLEMS,
        ...['agent_exists', 'too_many_agents', 'workspace_not_found', 'invalid_parameter', 'too_many_reads', 'storage_unavailable'],
      ],
      async parse(request) {
        const members = parseAgent(await jsonBodyOf(request))
        return { members, ...placeOf(request) }
      },
      async execute({ members, workspace, query }) {
        const made = await agents.create(workspace, members)
        if (!made) throw workspaceNotFound()
        const body = { ...agentBody(made.agent, query), key: made.key }
        return jsonAnswer(201, JSON.stringify(body), { Location: hrefOfAgent(made.agent.id, query), 'Cache-Control': 'no-store' })
      },
    }),
    route({
      ...ONE,
      method: 'GET',
      operationId: 'getAgent',
      summary: 'Returns an agent',
      access: 'read',
      answers: { 200: { ...SHOWN, description: 'The agent.' } },
      problems: AGENT_PROBLEMS,
      parse: request => ({ key: agentKeyOf(request), ...placeOf(request) }),
      execute: async ({ key, query }) => shown(await agents.find(key), query),
    }),
    route({
      ...ONE,
      method: 'PUT',
      operationId: 'replaceAgent',
      summary: 'Replaces what is said of an agent: absent members get their defaults',
      access: 'manage',
      body: { types: ['application/json'], schema: NewAgentSchema, example: { name: 'gateway-1', max_leases: 32 } },
      answers: { 200: { ...SHOWN, description: 'The agent as it is now.' } },
      problems: [...BODY_PROBLEMS, ...AGENT_PROBLEMS, 'agent_exists'],
      async parse(request) {
        const key = agentKeyOf(request)
        const members = parseAgent(await jsonBodyOf(request))
        return { key, members, ...placeOf(request) }
      },
      execute: async ({ key, members, query }) => shown(await agents.change(key, members), query),
    }),
    route({
      ...ONE,
      method: 'PATCH',
      operationId: 'changeAgent',
      summary: 'Changes an agent by a JSON merge patch',
      access: 'manage',
      body: { types: ['application/merge-patch+json', 'application/json'], schema: AgentChangesSchema, example: { max_leases: 32 } },
      answers: { 200: { ...SHOWN, description: 'The agent with its changes.' } },
      problems: [...BODY_PROBLEMS, ...AGENT_PROBLEMS, 'agent_exists'],
      async parse(request) {
        const key = agentKeyOf(request)
        const members = parseAgentChanges(await jsonBodyOf(request))
        return { key, members, ...placeOf(request) }
      },
      execute: async ({ key, members, query }) => shown(await agents.change(key, members), query),
    }),
    route({
      ...ONE,
      method: 'DELETE',
      operationId: 'archiveAgent',
      summary: 'Archives an agent: it gets no new lease, loses its assignments, and may finish what it holds',
      access: 'manage',
      answers: { 204: { description: 'The agent is archived.' } },
      problems: AGENT_PROBLEMS,
      parse: agentKeyOf,
      async execute(key) {
        if (!(await agents.archive(key))) throw agentNotFound()
        return { status: 204, body: '' }
      },
    }),
    route({
      ...ONE,
      path: '/v1/agents/:id/restore',
      method: 'POST',
      operationId: 'restoreAgent',
      summary: 'Lets an archived agent lease callbacks again',
      access: 'manage',
      answers: { 200: { ...SHOWN, description: 'The agent, which is not archived.' } },
      problems: [...AGENT_PROBLEMS, 'unsupported_media_type', 'bad_request'],
      parse(request) {
        requireNoForm(request)
        return { key: agentKeyOf(request), ...placeOf(request) }
      },
      execute: async ({ key, query }) => shown(await agents.restore(key), query),
    }),
  ]
}

const ALL = { path: '/v1/agents', limits: 'reads' } as const
const ONE = { path: '/v1/agents/:id', limits: 'reads', params: Type.Object({ id: Uuid }), query: Type.Object({}) } as const
const SHOWN = { schema: AgentSchema, example: EXAMPLE_AGENT } as const

const PAGING: Paging<string> = {
  list: 'agents',
  path: '/v1/agents',
  write: String,
  read: text => ([...text].length <= MAX_AGENT_NAME && text.isWellFormed() && !/\p{Cc}/u.test(text) ? text : undefined),
}

/** The workspace that a request is about, and what leads there. */
function placeOf(request: Request): { readonly workspace: string; readonly query: string } {
  const caller = callerOf(request)
  return { workspace: caller.workspace.name, query: workspaceQuery(caller) }
}

function shown(agent: AgentView | undefined, query: string) {
  if (!agent) throw agentNotFound()
  return jsonAnswer(200, JSON.stringify(agentBody(agent, query)))
}
