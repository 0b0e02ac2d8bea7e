import type { KnownAgent } from '../domain/agents/agent.ts'
import type { Lease } from '../domain/leasing/lease.ts'
import type { Poll } from '../domain/leasing/matching.ts'
import { PollQueue } from '../domain/leasing/poll-queue.ts'

/** A poll that waits. */
export interface Waiting extends Poll {
  /** Whether its key still counts. It may be revoked while the poll waits. */
  readonly isAdmitted: () => boolean
  /** As the last look found it. */
  agent: KnownAgent
  readonly end: (leases: readonly Lease[]) => void
  readonly fail: (error: unknown) => void
  /** Undefined: it waits for one look only, which the timeouts of the database bound. */
  timer: NodeJS.Timeout | undefined
  /** Whether a look under way may give it leases. */
  isInLook: boolean
  /** Whether it gets its answer after that look, with or without leases. */
  isOver: boolean
  /** Whether the most urgent callbacks had nothing for it. */
  hasLooked: boolean
}

/** What a poll gets: a place, or why there is none. */
export type Place = { readonly leases: Promise<readonly Lease[]>; leave(): void } | 'agent_archived' | 'too_many_polls' | 'overloaded'

/** What a poll asks for. */
export interface AskedPlace extends Poll, Pick<Waiting, 'isAdmitted'> {
  readonly waitMs: number
}

/** Polls of one agent that may wait. */
export const MAX_POLLS_OF_AGENT = 8

/** The polls that wait, with their times. Each gets one answer: leases, none because its time is over or it left, or the error of its look. */
export class WaitingPolls {
  readonly #queue = new PollQueue<Waiting>()
  readonly #max: number
  #isStopped = false

  /** @param options.max maximum number of polls that wait */
  constructor({ max }: { readonly max: number }) {
    this.#max = max
  }

  get size(): number {
    return this.#queue.size
  }

  /** The workspaces in which polls wait. */
  get workspaces(): Iterable<string> {
    return this.#queue.workspaces
  }

  get all(): readonly Waiting[] {
    return [...this.#queue.workspaces].flatMap(workspace => this.#queue.of(workspace))
  }

  /** @returns the polls of a workspace, first come, first served */
  of(workspace: string): readonly Waiting[] {
    return this.#queue.of(workspace)
  }

  has(poll: Waiting): boolean {
    return this.#queue.has(poll)
  }

  /** Takes a place for a poll. @param poll.waitMs 0: it waits for one look */
  take({ waitMs, ...poll }: AskedPlace): Place {
    if (poll.agent.isArchived) return 'agent_archived'
    if (this.#isStopped) return { leases: Promise.resolve([]), leave: () => undefined }
    if (this.#queue.countOf(poll.agent.id) >= MAX_POLLS_OF_AGENT) return 'too_many_polls'
    if (this.#queue.size >= this.#max) return 'overloaded'
    const { promise: leases, resolve: end, reject: fail } = Promise.withResolvers<readonly Lease[]>()
    const waiting: Waiting = { ...poll, end, fail, timer: undefined, isInLook: false, isOver: waitMs === 0, hasLooked: false }
    if (waitMs > 0) waiting.timer = setTimeout(() => this.#over(waiting), waitMs)
    this.#queue.add(waiting)
    return { leases, leave: () => this.end(waiting, []) }
  }

  /** Ends a poll, unless it has ended. */
  end(poll: Waiting, leases: readonly Lease[]): void {
    if (!this.#queue.delete(poll)) return
    clearTimeout(poll.timer)
    poll.end(leases)
  }

  /** Ends those of the polls whose time is over. @param error why nobody knows whether there is something for them */
  endOver(polls: readonly Waiting[], error?: unknown): void {
    for (const poll of polls) {
      if (!poll.isOver || !this.#queue.has(poll)) continue
      if (error !== undefined) poll.fail(error)
      this.end(poll, [])
    }
  }

  /** Ends all polls, and takes no more. Those in a look end with it. */
  stop(): void {
    this.#isStopped = true
    for (const poll of this.all) this.#over(poll)
  }

  #over(poll: Waiting): void {
    poll.isOver = true
    if (!poll.isInLook) this.end(poll, [])
  }
}
