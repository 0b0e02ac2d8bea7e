import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { KnownAgent } from '../domain/agents/agent.ts'
import type { Lease } from '../domain/leasing/lease.ts'
import { LeasingTurns, type Look } from '../domain/leasing/leasing-turns.ts'
import { type Candidate, type CandidatePosition, match } from '../domain/leasing/matching.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'
import { type AskedPlace, type Place, type Waiting, WaitingPolls } from './waiting-polls.ts'

/** A lease that an agent is to get. */
export interface WantedLease {
  readonly token: string
  readonly callbackId: string
  readonly agent: KnownAgent
}

export interface LeaseDeskOptions {
  /** Maximum number of polls that wait. */
  readonly maxPolls: number
  /** Finds callbacks that are due and suit one of the agents. @throws {StorageUnavailableError} */
  readonly find: (query: {
    readonly workspace: string
    readonly agents: readonly KnownAgent[]
    readonly limit: number
    /** It looks only at callbacks after this. */
    readonly from: CandidatePosition | undefined
  }) => Promise<{
    readonly candidates: readonly Candidate[]
    /** Number of leases that agents hold. */
    readonly held: ReadonlyMap<string, number>
    /** The last callback that was considered, if there are more after it. */
    readonly next: CandidatePosition | undefined
  }>
  /** Leases callbacks. @returns the leases that were given @throws {StorageUnavailableError} the outcome is unknown */
  readonly grant: (wanted: readonly WantedLease[]) => Promise<readonly Lease[]>
  /** Ends leases that no agent has learned of. Safe to repeat. @throws {StorageUnavailableError} */
  readonly giveBack: (unused: readonly Pick<WantedLease, 'token' | 'callbackId'>[]) => Promise<void>
  readonly newToken: () => string
  /** Finds the workspaces that have callbacks that are due. @throws {StorageUnavailableError} */
  readonly survey: () => Promise<readonly string[]>
  /** @returns the agent as it is now; undefined if it is unknown */
  readonly agentNow: (id: string) => KnownAgent | undefined
  /** Whether nothing may be leased now. */
  readonly isHeldUp: () => boolean
  /** Called for each lease that an agent gets. @returns the lease as the agent gets it */
  readonly onGranted: (lease: Lease) => Lease
  readonly pollMs: number
  readonly logger: Logger
}

/** What one look has brought. */
interface Brought {
  readonly mayHaveMore: boolean
  readonly next: CandidatePosition | undefined
  readonly hasBroughtLeases: boolean
}

/** Candidates of one look. */
const MAX_CANDIDATES = 200
/** The desk spends about one part in this many of its time on surveys. */
const SURVEY_PART = 20
/** Maximum time between surveys that `SURVEY_PART` may cause. */
const MAX_SURVEY_REST_MS = 1000
/** Workspaces that are looked at at a time. Each look takes a connection from the workers. */
const MAX_LOOKS = 2

/**
 * Gives leases to the agents that wait for them, in turn. The polls are only in memory, and a poll that waits costs no statement. A look at a
 * workspace is one statement that finds candidates, and one that leases them to all polls that they suit. The desk looks when a callback has
 * arrived, and every `pollMs` asks for the callbacks that other replicas accepted or whose time has come, while polls wait.
 * Stop: all polls get their answer at once. `looking` stops by itself, because a look may hang with the database.
 */
export class LeaseDesk implements Part {
  readonly name = 'waiting agents'
  readonly looking: Loop
  readonly #options: LeaseDeskOptions
  readonly #polls: WaitingPolls
  readonly #turns = new LeasingTurns()
  /** Leases that may have been given, but that no agent has learned of. */
  #unused: Pick<WantedLease, 'token' | 'callbackId'>[] = []
  /** Workspaces in which an agent that waits holds as many leases as it may. */
  readonly #full = new Set<string>()
  #nextSurveyMs = 0

  constructor(options: LeaseDeskOptions) {
    this.#options = options
    this.#polls = new WaitingPolls({ max: options.maxPolls })
    this.looking = new Loop({
      name: 'lease callbacks to agents',
      logger: options.logger,
      isReportedElsewhere: isStorageTrouble,
      pass: () => this.#pass(),
    })
  }

  /** Number of polls that wait. */
  get waiting(): number {
    return this.#polls.size
  }

  /** Makes the desk look at once, because a workspace has a callback that is due. */
  arrived(workspace: string): void {
    this.#turns.arrived(workspace)
    if (this.#polls.size > 0) this.looking.wake()
  }

  /** Takes in that a lease has ended: an agent that held as many as it may has room again. */
  released(workspace: string): void {
    if (this.#full.delete(workspace)) this.arrived(workspace)
  }

  /** Takes a place for a poll. @param poll.waitMs 0: it looks once */
  take(poll: AskedPlace): Place {
    const place = this.#polls.take(poll)
    if (typeof place === 'string') return place
    if (poll.waitMs === 0) this.#turns.arrived(poll.agent.workspace)
    this.looking.wake()
    return place
  }

  stop(): void {
    this.#polls.stop()
  }

  /** @returns milliseconds until the next pass */
  async #pass(): Promise<number> {
    if (this.#polls.size === 0 && this.#unused.length === 0) return Number.POSITIVE_INFINITY
    const { isHeldUp, pollMs } = this.#options
    try {
      await this.#returnUnused()
      if (isHeldUp()) {
        this.#polls.endOver(this.#polls.all)
        return pollMs
      }
      await this.#survey()
    } catch (error) {
      this.#polls.endOver(this.#polls.all, error)
      throw error
    }
    const { workspaces } = this.#polls
    const taken = this.#turns.take(workspaces, { nowMs: performance.now(), max: MAX_LOOKS })
    await Promise.all(taken.map(look => this.#look(look)))
    if (this.#unused.length > 0) return 0
    return Math.max(0, Math.min(this.#nextSurveyMs, this.#turns.nextLookMs(this.#polls.workspaces)) - performance.now())
  }

  /** Looks for workspaces with callbacks that are due, if it is time to. */
  async #survey(): Promise<void> {
    const { survey, pollMs } = this.#options
    const startedMs = performance.now()
    if (startedMs < this.#nextSurveyMs || this.#polls.size === 0) return
    const waiting = new Set(this.#polls.workspaces)
    for (const workspace of await survey()) if (waiting.has(workspace)) this.#turns.arrived(workspace)
    const endedMs = performance.now()
    this.#nextSurveyMs = startedMs + Math.max(pollMs, Math.min(MAX_SURVEY_REST_MS, SURVEY_PART * (endedMs - startedMs)))
  }

  /** Gives callbacks of one workspace to the polls that wait there. */
  async #look(look: Look): Promise<void> {
    const startedMs = performance.now()
    for (const poll of [...this.#polls.of(look.workspace)]) if (!poll.isAdmitted()) this.#polls.end(poll, [])
    const all = this.#polls.of(look.workspace)
    const polls = look.from === undefined ? all : all.filter(({ hasLooked }) => hasLooked)
    for (const poll of polls) {
      poll.isInLook = true
      poll.agent = this.#options.agentNow(poll.agent.id) ?? poll.agent
    }
    let brought: Brought = { mayHaveMore: true, next: look.from, hasBroughtLeases: false }
    try {
      brought = await this.#give(look, polls)
      this.#polls.endOver(polls)
    } catch (error) {
      this.#polls.endOver(polls, error)
      throw error
    } finally {
      for (const poll of polls) poll.isInLook = false
      const nowMs = performance.now()
      this.#turns.looked(look, { ...brought, nowMs, tookMs: nowMs - startedMs })
    }
  }

  async #give({ workspace, from }: Look, polls: readonly Waiting[]): Promise<Brought> {
    const { find, newToken } = this.#options
    const agents = [...new Map(polls.filter(({ agent }) => !agent.isArchived).map(({ agent }) => [agent.id, agent])).values()]
    if (agents.length === 0) return { mayHaveMore: false, next: undefined, hasBroughtLeases: false }
    const asked = polls.reduce((sum, { maxCallbacks }) => sum + maxCallbacks, 0)
    const limit = Math.min(MAX_CANDIDATES, asked)
    const { candidates, held, next } = await find({ workspace, agents, limit, from })
    const rooms = new Map(agents.map(({ id, maxLeases }) => [id, maxLeases - (held.get(id) ?? 0)]))
    if (rooms.values().some(room => room <= 0)) this.#full.add(workspace)
    // Some may have left meanwhile.
    const waiting = polls.filter(poll => this.#polls.has(poll))
    const grants = match(waiting, candidates, id => rooms.get(id) ?? 0).map(({ poll, candidate }) => ({
      ...{ poll, agent: poll.agent },
      ...{ token: newToken(), callbackId: candidate.id },
    }))
    const given = grants.length === 0 ? 0 : await this.#grant(grants)
    for (const poll of polls) poll.hasLooked = true
    const isAnyLeft = polls.some(poll => this.#polls.has(poll))
    return {
      mayHaveMore: candidates.length === limit || given < candidates.length,
      next: isAnyLeft ? next : undefined,
      hasBroughtLeases: given > 0,
    }
  }

  /** Leases callbacks to polls, and ends those that get any. @returns number of leases that were given */
  async #grant(grants: readonly (WantedLease & { readonly poll: Waiting })[]): Promise<number> {
    const { grant, onGranted } = this.#options
    const given = await grant(grants).catch(error => {
      this.#unused.push(...grants)
      throw error
    })
    const polls = new Map(grants.map(({ token, poll }) => [token, poll]))
    for (const [poll, leases] of Map.groupBy(given, ({ token }) => polls.get(token) as Waiting)) {
      if (this.#polls.has(poll)) this.#polls.end(poll, leases.map(onGranted))
      else this.#unused.push(...leases)
    }
    return given.length
  }

  async #returnUnused(): Promise<void> {
    if (this.#unused.length === 0) return
    await this.#options.giveBack(this.#unused)
    // No look is under way, so there are no new ones.
    this.#unused = []
  }
}
