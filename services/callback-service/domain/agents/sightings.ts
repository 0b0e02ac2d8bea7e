import { type AgentActivity, ALIVE_MS } from './agent.ts'

/** What is new of an agent. */
export interface Sighting {
  readonly id: string
  /** Milliseconds since it was last seen; undefined: it was not seen. */
  readonly agoMs: number | undefined
  readonly version: string | undefined
  readonly objects: number
  readonly callbacks: number
  readonly lapses: number
}

interface Noted {
  isSeen: boolean
  version: string | undefined
  objects: number
  callbacks: number
  lapses: number
}

interface SightingsOptions {
  /** A monotonic clock. */
  readonly nowMs: () => number
  /** Called when an agent is seen that was not alive. */
  readonly onRevival: () => void
}

/**
 * Which agents were seen and what they did. It collects what this replica sees until `take` gives it away, and remembers who is alive, of what
 * this replica and the others have seen.
 */
export class Sightings implements AgentActivity {
  readonly #nowMs: () => number
  readonly #onRevival: () => void
  readonly #noted = new Map<string, Noted>()
  /** When each agent was last seen, by `nowMs`. */
  readonly #seenAtMs = new Map<string, number>()

  constructor({ nowMs, onRevival }: SightingsOptions) {
    this.#nowMs = nowMs
    this.#onRevival = onRevival
  }

  seen(agentId: string, version?: string): void {
    const noted = this.#note(agentId)
    noted.isSeen = true
    if (version !== undefined) noted.version = version
    const wasAlive = this.isAlive(agentId)
    this.#seenAtMs.set(agentId, this.#nowMs())
    if (!wasAlive) this.#onRevival()
  }

  delivered(agentId: string, objects: number): void {
    this.#note(agentId).objects += objects
  }

  finished(agentId: string): void {
    this.#note(agentId).callbacks += 1
  }

  lapsed(agentId: string): void {
    this.#note(agentId).lapses += 1
  }

  isAlive(agentId: string): boolean {
    return this.#nowMs() - (this.#seenAtMs.get(agentId) ?? Number.NEGATIVE_INFINITY) < ALIVE_MS
  }

  /** Returns what is new since the last call, in the order of the ids, and forgets who is no longer alive. */
  take(): readonly Sighting[] {
    const now = this.#nowMs()
    const taken = [...this.#noted].map(([id, { isSeen, ...noted }]) => {
      const seenAtMs = this.#seenAtMs.get(id)
      return { id, agoMs: isSeen && seenAtMs !== undefined ? now - seenAtMs : undefined, ...noted }
    })
    this.#noted.clear()
    for (const id of this.#seenAtMs.keys()) if (!this.isAlive(id)) this.#seenAtMs.delete(id)
    return taken.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  /** Takes back what could not be written. */
  putBack(sightings: readonly Sighting[]): void {
    for (const { id, agoMs, version, objects, callbacks, lapses } of sightings) {
      const noted = this.#note(id)
      noted.isSeen ||= agoMs !== undefined
      noted.version ??= version
      noted.objects += objects
      noted.callbacks += callbacks
      noted.lapses += lapses
    }
  }

  /** Learns when another replica saw an agent. */
  learn(agentId: string, agoMs: number): void {
    const atMs = this.#nowMs() - agoMs
    if (atMs > (this.#seenAtMs.get(agentId) ?? Number.NEGATIVE_INFINITY)) this.#seenAtMs.set(agentId, atMs)
  }

  #note(agentId: string): Noted {
    const noted = this.#noted.get(agentId) ?? { isSeen: false, version: undefined, objects: 0, callbacks: 0, lapses: 0 }
    this.#noted.set(agentId, noted)
    return noted
  }
}
