import { type Breaker, CLAIM_BATCH, type ClaimRoom, type ClaimShare, claimRoom, MAX_WAITING } from './claim-quota.ts'
import type { ClaimedCallback } from './claimed-callback.ts'

/** A workspace, as the turns need it. */
export interface TurnTaker {
  readonly isPaused: boolean
  /** Its share of the work while workspaces compete. */
  readonly weight: number
  /** The breaker of its client service. Workspaces with one client service have one breaker. */
  readonly breaker: Breaker
}

export interface ClaimTurnsOptions {
  /** Finds a workspace. An unknown one is not claimed, because its client service is unknown. */
  readonly find: (workspace: string) => TurnTaker | undefined
  readonly requests: {
    readonly inFlight: number
    readonly waiting: number
    readonly concurrency: number
    requestsOf(workspace: string): { readonly inFlight: number; readonly waiting: number }
  }
  /** Maximum number of callbacks that this process works on. */
  readonly maxRunning: number
}

/** A workspace that may have callbacks that are due, that has running ones, or that has had more than its share. */
interface Lane {
  readonly workspace: string
  /** Objects that this process has claimed for it, divided by its weight. It never falls behind the lane that is served. */
  time: number
  /** Whether it may have callbacks that are due. */
  isActive: boolean
  /** Whether it was noted since the last claim that it took part in. */
  isNoted: boolean
  running: number
}

/** A lane that may be claimed now. */
interface Candidate {
  readonly lane: Lane
  readonly weight: number
  readonly room: ClaimRoom
}

/** Maximum number of workspaces in one statement. */
const MAX_SHARES = 8
/** A workspace may have its share even if others hold more than theirs, until the process holds this many times its bounds. */
const MAX_EXCESS = 2
const CLOSED: Breaker = { state: 'closed', waitMs: 0 }

/**
 * Decides whose callbacks are claimed next, and how many of each workspace (start-time fair queueing, measured in objects).
 *
 * Each workspace has a virtual time: the objects claimed for it, divided by its weight. Those with the smallest time are next. A workspace
 * that becomes active starts at the current time, so it is next, whatever waits elsewhere. While the process has room, any workspace may
 * use it. If it has none, a workspace that holds less than its share may still be claimed. With one workspace this is `claimRoom`.
 */
export class ClaimTurns {
  readonly #options: ClaimTurnsOptions
  readonly #lanes = new Map<string, Lane>()
  #time = 0
  #running = 0

  constructor(options: ClaimTurnsOptions) {
    this.#options = options
  }

  /** Notes that a workspace may have callbacks that are due. */
  arrived(workspace: string): void {
    const lane = this.#laneOf(workspace)
    if (!lane.isActive) lane.time = Math.max(lane.time, this.#time)
    lane.isActive = true
    lane.isNoted = true
  }

  /** Whether a workspace may have callbacks that are due. */
  get hasActive(): boolean {
    return this.#lanes.values().some(lane => lane.isActive)
  }

  /** How much the process may claim, whatever the client services; undefined if nothing. */
  get room(): ClaimRoom | undefined {
    const { requests, maxRunning } = this.#options
    return claimRoom({ running: this.#running, maxRunning, requests, breaker: CLOSED })
  }

  /** @returns what to claim next; empty if no workspace is active; undefined if nothing of the active ones may be claimed now */
  shares(): readonly ClaimShare[] | undefined {
    this.#forgetIdle()
    if (!this.hasActive) return []
    const candidates = this.#candidates()
    const [next] = candidates
    if (!next) return undefined
    this.#time = Math.max(this.#time, next.lane.time)
    const free = this.room
    const isFree = free?.minAgeMs === 0
    const callbacks = isFree ? free.callbacks : CLAIM_BATCH
    const objects = isFree ? free.objects : candidates.reduce((sum, { room }) => sum + room.objects, 0)
    return divide(candidates.slice(0, callbacks), { callbacks, objects })
  }

  /** Takes in what a claim of shares brought. A workspace that had less than it was asked for is no longer active. */
  claimed(shares: readonly ClaimShare[], callbacks: readonly ClaimedCallback[]): void {
    const byWorkspace = Map.groupBy(callbacks, ({ workspace }) => workspace)
    for (const share of shares) {
      const found = byWorkspace.get(share.workspace) ?? []
      const objects = found.reduce((sum, { missingIds }) => sum + missingIds.length, 0)
      const lane = this.#laneOf(share.workspace)
      const isShort = found.length < share.callbacks && objects < share.objects
      if (isShort && !lane.isNoted) lane.isActive = false
    }
    for (const [workspace, found] of byWorkspace) {
      const cost = found.reduce((sum, { missingIds }) => sum + Math.max(1, missingIds.length), 0)
      const lane = this.#laneOf(workspace)
      lane.time += cost / (this.#options.find(workspace)?.weight ?? 1)
      lane.running += found.length
      this.#running += found.length
    }
  }

  /** Takes in that a claimed callback has left its worker. */
  left({ workspace }: ClaimedCallback): void {
    this.#laneOf(workspace).running -= 1
    this.#running -= 1
  }

  /** The workspaces to claim in one statement, those whose turn it is first. */
  #candidates(): Candidate[] {
    const lanes = [...this.#lanes.values()]
      .filter(lane => lane.isActive || lane.running > 0)
      .map(lane => ({ lane, taker: this.#options.find(lane.workspace) }))
    const totalWeight = lanes.reduce((sum, { taker }) => sum + (taker && competes(taker) ? taker.weight : 0), 0)
    const candidates: Candidate[] = []
    const probed = new Set<Breaker>()
    for (const { lane, taker } of lanes.filter(({ lane }) => lane.isActive).sort((a, b) => a.lane.time - b.lane.time)) {
      if (candidates.length === MAX_SHARES) break
      const room = taker && !taker.isPaused && !probed.has(taker.breaker) ? this.#roomOf(lane, taker, totalWeight) : undefined
      if (taker && room) {
        // One callback is enough to probe a client service with.
        if (taker.breaker.state !== 'closed') probed.add(taker.breaker)
        lane.isNoted = false
        candidates.push({ lane, weight: taker.weight, room })
      } else {
        // It saves up no turns while it may not be claimed.
        lane.time = Math.max(lane.time, this.#time)
      }
    }
    return candidates
  }

  /** @param totalWeight of the workspaces that compete now */
  #roomOf({ workspace, running }: Lane, taker: TurnTaker, totalWeight: number): ClaimRoom | undefined {
    const { weight, breaker } = taker
    const { requests, maxRunning } = this.#options
    const room = claimRoom({ running: this.#running, maxRunning, requests, breaker })
    if (room?.minAgeMs === 0) return room
    const isOverfull = this.#running >= MAX_EXCESS * maxRunning || requests.waiting >= MAX_EXCESS * MAX_WAITING * requests.concurrency
    if (isOverfull) return undefined
    const share = weight / (competes(taker) ? totalWeight : totalWeight + weight)
    const { inFlight, waiting } = requests.requestsOf(workspace)
    return claimRoom({
      running,
      maxRunning: Math.ceil(maxRunning * share),
      requests: { inFlight, waiting, concurrency: Math.ceil(requests.concurrency * share) },
      breaker,
    })
  }

  #laneOf(workspace: string): Lane {
    let lane = this.#lanes.get(workspace)
    if (!lane) {
      lane = { workspace, time: this.#time, isActive: false, isNoted: false, running: 0 }
      this.#lanes.set(workspace, lane)
    }
    return lane
  }

  #forgetIdle(): void {
    if (!this.hasActive) for (const { time } of this.#lanes.values()) this.#time = Math.max(this.#time, time)
    for (const [workspace, lane] of this.#lanes)
      if (!lane.isActive && lane.running === 0 && lane.time <= this.#time) this.#lanes.delete(workspace)
  }
}

/** Whether a workspace takes its share. One that may not be claimed must not make the shares of the others smaller. */
function competes({ isPaused, breaker }: TurnTaker): boolean {
  return !isPaused && breaker.state === 'closed' && breaker.waitMs <= 0
}

/**
 * Divides a claim so that, if each workspace fills its share, all end at the same virtual time. A workspace that is ahead of that time gets
 * nothing.
 * @param candidates sorted by their virtual times
 */
function divide(candidates: readonly Candidate[], total: { readonly callbacks: number; readonly objects: number }): ClaimShare[] {
  let weights = 0
  let times = 0
  const served = candidates.filter(({ lane, weight }) => {
    if (weights > 0 && lane.time * weights >= total.objects + times) return false
    weights += weight
    times += lane.time * weight
    return true
  })
  const endTime = (total.objects + times) / weights
  return served.map(({ lane, weight, room }) => {
    const part = served.length === 1 ? 1 : ((endTime - lane.time) * weight) / total.objects
    return {
      workspace: lane.workspace,
      callbacks: Math.min(room.callbacks, 1 + Math.floor((total.callbacks - served.length) * part)),
      objects: Math.min(room.objects, Math.max(1, Math.round(total.objects * part))),
      minAgeMs: room.minAgeMs,
    }
  })
}
