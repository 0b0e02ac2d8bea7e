import pLimit, { type LimitFunction } from 'p-limit'

export interface FairSlotsOptions {
  /** Maximum number of requests under way at once, of all workspaces together. */
  readonly concurrency: number
  /** Further requests that may run while all slots are taken, only for workspaces that have few under way. 0: none. */
  readonly reserve: number
  /** A workspace with twice the weight may hold twice the slots while they are scarce. */
  readonly weightOf: (workspace: string) => number
}

/** The requests of one workspace. */
interface Lane {
  readonly workspace: string
  weight: number
  inFlight: number
  waiting: number
  first: Waiter | undefined
  last: Waiter | undefined
}

/** A request that waits for a slot: a link of its lane's queue. */
interface Waiter {
  readonly grant: (end: () => void) => void
  next: Waiter | undefined
}

/** One workspace may hold at most this part of the reserve. */
const RESERVE_PART = 8

/**
 * The bound for requests under way in the whole process, shared fairly between workspaces. A free slot goes to the waiting workspace with
 * the fewest requests under way for its weight, and among equals in turn. While no other workspace waits, one may use all slots.
 *
 * If a workspace holds all slots with slow requests, others need not wait for them: a workspace that holds less than its share may use the
 * reserve. So at most `concurrency + reserve` requests are under way. With one workspace the reserve stays unused.
 */
export class FairSlots {
  readonly #slots: LimitFunction
  readonly #reserve: LimitFunction | undefined
  readonly #options: FairSlotsOptions
  /** The workspaces with requests under way or waiting. */
  readonly #lanes = new Map<string, Lane>()
  /** The workspaces with waiting requests. One that got a slot goes to the end. */
  readonly #queue = new Map<string, Lane>()
  /** Sum of the weights of `#lanes`. */
  #weight = 0
  #inFlight = 0
  #waiting = 0
  /** Number of queued calls in `#slots` that have not chosen a request yet. */
  #tickets = 0
  /** Number of calls in `#reserve`. */
  #lent = 0

  constructor(options: FairSlotsOptions) {
    this.#options = options
    this.#slots = pLimit(options.concurrency)
    this.#reserve = options.reserve > 0 ? pLimit(options.reserve) : undefined
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** Requests that wait for a slot. */
  get waiting(): number {
    return this.#waiting
  }

  /** A new bound applies from the next request on. */
  set concurrency(concurrency: number) {
    this.#slots.concurrency = concurrency
  }

  get concurrency(): number {
    return this.#slots.concurrency
  }

  /** @returns the requests of one workspace under way, and those that wait */
  requestsOf(workspace: string): { readonly inFlight: number; readonly waiting: number } {
    return this.#lanes.get(workspace) ?? { inFlight: 0, waiting: 0 }
  }

  /** Runs a request of a workspace as soon as it has a slot. It runs in the caller's trace. */
  async run<T>(workspace: string, request: () => Promise<T>): Promise<T> {
    const end = await this.#slotFor(workspace)
    try {
      return await request()
    } finally {
      end()
    }
  }

  #slotFor(workspace: string): Promise<() => void> {
    return new Promise(grant => {
      const lane = this.#laneOf(workspace)
      this.#enqueue(lane, { grant, next: undefined })
      // The reserve may have served the request of an earlier ticket. That ticket now stands for this request.
      if (this.#tickets < this.#waiting) {
        this.#tickets += 1
        void this.#slots(() => {
          this.#tickets -= 1
          return this.#serve(this.#fairest())
        })
      }
      if (this.#mayBorrow(lane)) void this.#borrow()
    })
  }

  /** Runs one request in the reserve, then others as long as their workspaces hold less than their share. */
  async #borrow(): Promise<void> {
    this.#lent += 1
    await this.#reserve?.(() => this.#serve(this.#fairest(lane => this.#mayBorrow(lane, 0))))
    this.#lent -= 1
    if (this.#fairest(lane => this.#mayBorrow(lane))) void this.#borrow()
  }

  /** @param calls number of calls that the reserve must have room for */
  #mayBorrow(lane: Lane, calls = 1): boolean {
    const { reserve } = this.#options
    if (this.#slots.pendingCount === 0 || this.#lanes.size < 2 || this.#lent + calls > reserve) return false
    const share = Math.floor((this.concurrency * lane.weight) / this.#weight)
    return lane.inFlight < Math.max(1, Math.min(share, Math.floor(reserve / RESERVE_PART)))
  }

  /** @returns the waiting workspace, of those that may be served, with the fewest requests under way for its weight */
  #fairest(mayServe: (lane: Lane) => boolean = () => true): Lane | undefined {
    let fairest: Lane | undefined
    for (const lane of this.#queue.values()) {
      if (!mayServe(lane)) continue
      if (lane.inFlight === 0) return lane
      if (!fairest || lane.inFlight * fairest.weight < fairest.inFlight * lane.weight) fairest = lane
    }
    return fairest
  }

  /** Lets the first request of a workspace run. Resolves at its end. */
  #serve(lane: Lane | undefined): Promise<void> | undefined {
    const waiter = lane?.first
    if (!lane || !waiter) return undefined
    lane.first = waiter.next
    lane.waiting -= 1
    this.#waiting -= 1
    this.#queue.delete(lane.workspace)
    if (lane.first) this.#queue.set(lane.workspace, lane)
    lane.inFlight += 1
    this.#inFlight += 1
    return new Promise(resolve =>
      waiter.grant(() => {
        lane.inFlight -= 1
        this.#inFlight -= 1
        this.#forgetIdle(lane)
        resolve()
      }),
    )
  }

  #enqueue(lane: Lane, waiter: Waiter): void {
    if (lane.first && lane.last) lane.last.next = waiter
    else lane.first = waiter
    lane.last = waiter
    lane.waiting += 1
    this.#waiting += 1
    if (lane.waiting === 1) this.#queue.set(lane.workspace, lane)
  }

  #laneOf(workspace: string): Lane {
    const weight = this.#options.weightOf(workspace)
    let lane = this.#lanes.get(workspace)
    if (!lane) {
      lane = { workspace, weight: 0, inFlight: 0, waiting: 0, first: undefined, last: undefined }
      this.#lanes.set(workspace, lane)
    }
    this.#weight += weight - lane.weight
    lane.weight = weight
    return lane
  }

  #forgetIdle(lane: Lane): void {
    if (lane.inFlight > 0 || lane.waiting > 0) return
    this.#lanes.delete(lane.workspace)
    this.#weight -= lane.weight
  }
}
