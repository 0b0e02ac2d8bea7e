import type { Request } from 'express'
import { HttpProblem } from '#foundation/http/problems.ts'
import { pathParameter } from '#foundation/http/query.ts'
import type { KnownAgent } from '../../domain/agents/agent.ts'
import { callerOf } from '../gates/caller-of.ts'
import { UUID } from '../schemas.ts'

/** The agents, as this process knows them. */
export interface Agents {
  /** @param id in lower case. Archived agents are found too */
  agent(id: string): KnownAgent | undefined
  /** Looks at the database now. @throws {StorageUnavailableError} */
  refresh(): Promise<void>
}

/** Stands in a path for the agent of the key. */
const SELF = 'self'

/**
 * Returns the agent in the path of a request. A key of an agent finds only this agent.
 * @throws {HttpProblem} agent_not_found
 * @throws {StorageUnavailableError} this process does not know the agent, and cannot look it up now
 */
export async function agentOf(request: Request, agents: Agents): Promise<KnownAgent> {
  const { key, workspace } = callerOf(request)
  const asked = pathParameter(request, 'id')
  const own = key?.agentId ?? undefined
  const id = asked === SELF ? own : asked.toLowerCase()
  if (asked === SELF && id === undefined) throw notFound('Only the key of an agent says who "self" is.')
  if (id === undefined || !UUID.test(id) || (own !== undefined && own !== id)) throw notFound()
  // Another replica may just have made it. A process that knows a key knows its agent too.
  if (!agents.agent(id)) await agents.refresh()
  const agent = agents.agent(id)
  if (agent?.workspace !== workspace.name) throw notFound()
  return agent
}

function notFound(detail = 'The workspace has no agent with this id.'): HttpProblem {
  return new HttpProblem('agent_not_found', detail)
}
