import type { CallbackCounts } from '../accepting/workspace-forecast.ts'

/** Time after which callbacks that no living agent takes are worth a warning. */
export const UNTAKEN_MS = 60_000

/** Callbacks of a workspace that have been due for `UNTAKEN_MS`, and that no living agent suits. */
export interface Unsuited {
  readonly workspace: string
  /** Their number, or less if there are very many. */
  readonly waiting: number
  /** The id of the one that has waited longest. */
  readonly callback: string
  /** For how long that one has been due. */
  readonly ms: number
}

/** A workspace whose callbacks wait for agents. */
export interface Shortage {
  readonly workspace: string
  readonly waiting: number
  /** For how long it has been so. */
  readonly ms: number
  /** An agent is alive. It takes none all the same, for example because it lacks a label. */
  readonly hasAgent: boolean
  /** The one that has waited longest, if no living agent suits these. */
  readonly callback?: string
}

/** Notices that callbacks wait for agents and none takes them, on any replica. It looks at what regular counts of the database say. */
export class AgentShortage {
  readonly #needsAgent: (workspace: string) => boolean
  readonly #hasAgent: (workspace: string) => boolean
  readonly #nowMs: () => number
  #found: readonly (Omit<Shortage, 'ms'> & { readonly sinceMs: number })[] = []
  #unsuited: readonly Unsuited[] = []

  /**
   * @param options.needsAgent whether only agents fetch for a workspace, and may do so now
   * @param options.hasAgent whether an agent of it is alive
   */
  constructor(options: {
    readonly needsAgent: (workspace: string) => boolean
    readonly hasAgent: (workspace: string) => boolean
    readonly nowMs: () => number
  }) {
    this.#needsAgent = options.needsAgent
    this.#hasAgent = options.hasAgent
    this.#nowMs = options.nowMs
  }

  /** Takes in a count of the database, by workspace. */
  counted(counts: ReadonlyMap<string, CallbackCounts>): void {
    const before = new Map(this.#found.map(one => [one.workspace, one]))
    this.#found = counts
      .entries()
      .flatMap(([workspace, { due, running, finished }]) => {
        if (due === 0 || !this.#needsAgent(workspace)) return []
        const hasAgent = this.#hasAgent(workspace)
        if (hasAgent && running + finished > 0) return []
        const known = before.get(workspace)
        return [{ workspace, waiting: due, hasAgent, sinceMs: known?.hasAgent === hasAgent ? known.sinceMs : this.#nowMs() }]
      })
      .toArray()
  }

  /** Takes in what a look at the database found, at most one entry for each workspace. */
  foundUnsuited(unsuited: readonly Unsuited[]): void {
    this.#unsuited = unsuited
  }

  /** The workspaces that lack agents, those without any first, then by the number of their callbacks. */
  get now(): readonly Shortage[] {
    const now = this.#nowMs()
    const untaken = this.#found
      .map(({ sinceMs, ...one }): Shortage => ({ ...one, ms: now - sinceMs }))
      .filter(({ hasAgent, ms }) => !hasAgent || ms >= UNTAKEN_MS)
    // No agent at all is the greater trouble. Which callbacks none suits says more than that none is taken.
    const withoutAgent = new Set(untaken.filter(({ hasAgent }) => !hasAgent).map(({ workspace }) => workspace))
    const unsuited = this.#unsuited
      .filter(({ workspace }) => !withoutAgent.has(workspace) && this.#needsAgent(workspace) && this.#hasAgent(workspace))
      .map((one): Shortage => ({ ...one, hasAgent: true }))
    return [...new Map([...untaken, ...unsuited].map(one => [one.workspace, one])).values()].sort(
      (a, b) => Number(a.hasAgent) - Number(b.hasAgent) || b.waiting - a.waiting,
    )
  }
}
