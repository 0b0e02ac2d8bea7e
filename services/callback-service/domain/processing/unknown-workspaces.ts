export interface UnknownWorkspacesOptions {
  readonly isKnown: (workspace: string) => boolean
  /** A monotonic clock. */
  readonly nowMs: () => number
}

/** Every replica knows a new workspace within two seconds. */
const PATIENCE_MS = 3000

/**
 * Notices callbacks that nobody works on because their workspace does not exist. The database may have lost it, for example in a failover or a
 * restored backup, while the callbacks were in a spool.
 */
export class UnknownWorkspaces {
  readonly #options: UnknownWorkspacesOptions
  #sinceMs: ReadonlyMap<string, number> = new Map()

  constructor(options: UnknownWorkspacesOptions) {
    this.#options = options
  }

  /** @param due the workspaces that have callbacks that are due @returns those that have been unknown for three seconds */
  observe(due: readonly string[]): readonly string[] {
    const { isKnown, nowMs } = this.#options
    const now = nowMs()
    const unknown = due.filter(workspace => !isKnown(workspace))
    this.#sinceMs = new Map(unknown.map(workspace => [workspace, this.#sinceMs.get(workspace) ?? now]))
    return unknown.filter(workspace => now - (this.#sinceMs.get(workspace) ?? now) >= PATIENCE_MS)
  }
}
