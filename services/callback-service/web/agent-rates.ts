import type { Agent } from './agents.ts'

interface Sample {
  readonly atMs: number
  readonly objects: number
}

/** The rates are those of this time. Replicas add to the counters every few seconds, so a shorter time would make them jump. */
export const RATE_WINDOW_MS = 30_000
/** A rate of a shorter time says nothing. */
const MIN_SPAN_MS = 5000

/** How fast agents deliver, from the differences of their counters. It keeps only what it needs for the agents of the last answer. */
export class AgentRates {
  #samples: ReadonlyMap<string, readonly Sample[]> = new Map()

  /** Takes in an answer. @param atMs when it came, by a clock that only goes forward */
  add(agents: readonly Pick<Agent, 'id' | 'objects_delivered'>[], atMs: number): void {
    this.#samples = new Map(agents.map(({ id, objects_delivered: objects }) => [id, [...this.#kept(id, objects, atMs), { atMs, objects }]]))
  }

  /** Returns the objects that an agent delivered a second; undefined while too little is known. */
  of(id: string): number | undefined {
    const samples = this.#samples.get(id)
    const [first, last] = [samples?.[0], samples?.at(-1)]
    if (!first || !last || last.atMs - first.atMs < MIN_SPAN_MS) return undefined
    return (last.objects - first.objects) / ((last.atMs - first.atMs) / 1000)
  }

  #kept(id: string, objects: number, atMs: number): readonly Sample[] {
    // A restored database may count less than before.
    return (this.#samples.get(id) ?? []).filter(sample => atMs - sample.atMs <= RATE_WINDOW_MS && sample.objects <= objects)
  }
}
