import type { KnownAgent } from '../agents/agent.ts'

/** What an agent asks for with one request. */
export interface Poll {
  readonly agent: KnownAgent
  readonly maxCallbacks: number
  /** Objects of all its callbacks together. The first callback may have more. */
  readonly maxObjects: number
}

/** A callback that may be leased. */
export interface Candidate {
  readonly id: string
  /** Number of objects that are still wanted. */
  readonly objects: number
  /** An agent needs all of these. */
  readonly labels: readonly string[]
  /** The only agent that may lease it, whatever its labels. */
  readonly assignedTo: string | null
}

/** The place of a callback among those that are due: the most urgent first. */
export interface CandidatePosition {
  readonly priority: number
  /** A time as Postgres writes it. */
  readonly dueAt: string
  readonly id: string
}

export interface Grant<Asked extends Poll> {
  readonly poll: Asked
  readonly candidate: Candidate
}

/**
 * Decides who gets which callback. Each callback goes to the first poll in the queue that suits it and has room. That poll then goes to the
 * end of the queue, so that those who wait get one each before anybody gets two.
 * @param polls first come, first served
 * @param candidates the most urgent first
 * @param roomOf number of callbacks that an agent may still take
 */
export function match<Asked extends Poll>(
  polls: readonly Asked[],
  candidates: readonly Candidate[],
  roomOf: (agentId: string) => number,
): Grant<Asked>[] {
  const queue = polls.map(poll => ({ poll, callbacks: 0, objects: 0 }))
  const rooms = new Map<string, number>()
  const leftOf = (agentId: string): number => rooms.get(agentId) ?? roomOf(agentId)
  const grants: Grant<Asked>[] = []
  for (const candidate of candidates) {
    const i = queue.findIndex(({ poll, callbacks, objects }) => {
      const isFull = callbacks >= poll.maxCallbacks || (callbacks > 0 && objects + candidate.objects > poll.maxObjects)
      return !isFull && leftOf(poll.agent.id) > 0 && suits(poll.agent, candidate)
    })
    const [next] = i === -1 ? [] : queue.splice(i, 1)
    if (!next) continue
    next.callbacks += 1
    next.objects += candidate.objects
    rooms.set(next.poll.agent.id, leftOf(next.poll.agent.id) - 1)
    if (next.callbacks < next.poll.maxCallbacks) queue.push(next)
    grants.push({ poll: next.poll, candidate })
  }
  return grants
}

/** Whether an agent may have a callback: it has all labels that the callback names, or somebody assigned the callback to it. */
export function suits({ id, labels }: Pick<KnownAgent, 'id' | 'labels'>, { assignedTo, labels: needed }: Candidate): boolean {
  return assignedTo === null ? needed.every(label => labels.includes(label)) : assignedTo === id
}
