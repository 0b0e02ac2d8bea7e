import type { Request } from 'express'
import { HttpProblem } from '#foundation/http/problems.ts'
import { pathParameter } from '#foundation/http/query.ts'
import type { AgentKey } from '../../domain/agents/agent-view.ts'
import { callerOf } from '../gates/caller-of.ts'
import { UUID } from '../schemas.ts'

/** The problems of a request about one agent. */
export const AGENT_PROBLEMS = ['agent_not_found', 'invalid_parameter', 'too_many_reads', 'storage_unavailable'] as const

/** Returns which agent of its workspace a request is about. It may not exist. @throws {HttpProblem} agent_not_found */
export function agentKeyOf(request: Request): AgentKey {
  const id = pathParameter(request, 'id')
  if (!UUID.test(id)) throw agentNotFound()
  return { workspace: callerOf(request).workspace.name, id: id.toLowerCase() }
}

export function agentNotFound(): HttpProblem {
  return new HttpProblem('agent_not_found', 'The workspace has no agent with this id.')
}
