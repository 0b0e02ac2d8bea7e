import type { Poll } from './matching.ts'

/** The polls that wait, first come, first served, by workspace. */
export class PollQueue<Waiting extends Poll> {
  readonly #byWorkspace = new Map<string, Set<Waiting>>()
  readonly #byAgent = new Map<string, number>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The workspaces in which polls wait. */
  get workspaces(): Iterable<string> {
    return this.#byWorkspace.keys()
  }

  /** @returns the polls of a workspace in their order */
  of(workspace: string): readonly Waiting[] {
    return [...(this.#byWorkspace.get(workspace) ?? [])]
  }

  /** @returns number of polls of an agent */
  countOf(agentId: string): number {
    return this.#byAgent.get(agentId) ?? 0
  }

  has(poll: Waiting): boolean {
    return this.#byWorkspace.get(poll.agent.workspace)?.has(poll) ?? false
  }

  add(poll: Waiting): void {
    const { id, workspace } = poll.agent
    this.#byWorkspace.set(workspace, (this.#byWorkspace.get(workspace) ?? new Set()).add(poll))
    this.#byAgent.set(id, this.countOf(id) + 1)
    this.#size += 1
  }

  /** @returns whether it waited */
  delete(poll: Waiting): boolean {
    const { id, workspace } = poll.agent
    const here = this.#byWorkspace.get(workspace)
    if (!here?.delete(poll)) return false
    if (here.size === 0) this.#byWorkspace.delete(workspace)
    if (this.countOf(id) === 1) this.#byAgent.delete(id)
    else this.#byAgent.set(id, this.countOf(id) - 1)
    this.#size -= 1
    return true
  }
}
