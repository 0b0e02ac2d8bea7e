const MAX_WAIT_SECONDS = 60

/**
 * Estimates how many callbacks are unfinished: the last count plus the callbacks that this process has accepted since.
 * Callbacks that other replicas accept appear with the next count.
 */
export class Backlog {
  readonly #nowMs: () => number
  #counted = 0
  #countedAtMs: number | undefined
  #accepted = 0
  #finishedPerSecond = 0

  constructor(options: { readonly nowMs: () => number }) {
    this.#nowMs = options.nowMs
  }

  count(unfinished: number): void {
    const now = this.#nowMs()
    if (this.#countedAtMs !== undefined) {
      this.#finishedPerSecond = Math.max(0, (this.#counted + this.#accepted - unfinished) / ((now - this.#countedAtMs) / 1000))
    }
    this.#counted = unfinished
    this.#accepted = 0
    this.#countedAtMs = now
  }

  accepted(count = 1): void {
    this.#accepted += count
  }

  /** Seconds until there may be room for another callback, at most 60; 0 if there is room now. @param max unfinished callbacks that fit */
  waitSeconds(max: number): number {
    const excess = this.#counted + this.#accepted - max
    if (excess < 0) return 0
    return Math.min(MAX_WAIT_SECONDS, Math.ceil((excess + 1) / this.#finishedPerSecond))
  }
}

/** The backlogs of all workspaces, and that of all together. */
export class Backlogs {
  readonly all: Backlog
  readonly #nowMs: () => number
  readonly #each = new Map<string, Backlog>()

  constructor(options: { readonly nowMs: () => number }) {
    this.#nowMs = options.nowMs
    this.all = new Backlog(options)
  }

  /** @param unfinished number of callbacks by workspace, without those that have none */
  count(unfinished: ReadonlyMap<string, number>): void {
    this.all.count(unfinished.values().reduce((sum, count) => sum + count, 0))
    for (const [workspace, backlog] of this.#each) backlog.count(unfinished.get(workspace) ?? 0)
    for (const [workspace, count] of unfinished) if (!this.#each.has(workspace)) this.#of(workspace).count(count)
  }

  /** Takes in callbacks that are unfinished since the last count. */
  accepted(workspace: string, count = 1): void {
    this.all.accepted(count)
    this.#of(workspace).accepted(count)
  }

  /** Seconds until the workspace may have room for another callback, at most 60; 0 if it has room now. */
  waitSeconds(workspace: string, max: number): number {
    return this.#each.get(workspace)?.waitSeconds(max) ?? 0
  }

  #of(workspace: string): Backlog {
    let backlog = this.#each.get(workspace)
    if (!backlog) {
      backlog = new Backlog({ nowMs: this.#nowMs })
      this.#each.set(workspace, backlog)
    }
    return backlog
  }
}
