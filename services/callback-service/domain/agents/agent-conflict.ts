/** A change that is valid in itself contradicts the state of the agents. Nothing was changed. `code` is stable. */
export class AgentConflictError extends Error {
  readonly code: 'agent_exists' | 'too_many_agents'

  constructor(code: AgentConflictError['code'], detail: string) {
    super(detail)
    this.code = code
  }
}
