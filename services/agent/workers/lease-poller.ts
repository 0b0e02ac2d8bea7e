import type { Backoff } from '#fetching/backoff.ts'
import { withRequestId } from '#foundation/http/request-id.ts'
import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { contextFromCarrier, inSpan, SpanKind } from '#foundation/telemetry/spans.ts'
import { TroubleLog } from '#foundation/telemetry/trouble-log.ts'
import { AnswerbackUnavailableError } from '../domain/answerback-errors.ts'
import type { Answerback, Lease } from '../domain/lease.ts'
import type { LeaseRoom } from '../domain/lease-room.ts'
import { waitMs } from '../domain/retries.ts'
import type { LeaseWork } from './lease-work.ts'

export interface LeasePollerOptions {
  readonly answerback: Pick<Answerback, 'lease'>
  /** How much to lease now; undefined if nothing. @param held number of callbacks that the agent holds */
  readonly room: (held: number) => LeaseRoom | undefined
  /** Milliseconds until there may be room, if only time can bring it. */
  readonly roomInMs: () => number
  /** Time that a request for leases waits for callbacks, at least 1. */
  readonly waitSeconds: number
  /** Waits after requests that failed. */
  readonly backoff: Backoff
  readonly random: () => number
  /** Makes the work on a lease. @param atMs performance.now() when it came */
  readonly work: (lease: Lease, atMs: number) => LeaseWork
  /** Ends all fetches. Called once, when the poller stops. */
  readonly interrupt: () => Promise<void>
  /** Maximum time of a stop for giving leases back. */
  readonly giveBackMs: number
  /** Ends all requests to the callback service. Called when that time is over. */
  readonly cutOff: () => Promise<void>
  readonly onLeased: (callbacks: number) => void
  /** Called at the end of each lease, with the state that its callback got, or `lost`. */
  readonly onEnded: (state: string) => void
  readonly onUnavailable: (reason: string) => void
  readonly logger: Logger
}

/** An answer without leases that comes earlier is not trusted: the replica may be stopping. */
const EARLY_MS = 900

/**
 * Leases callbacks while there is room, and starts the work on each at once. One request waits at a time. The first one, and the first one after a
 * failure, does not wait, so that it is known at once whether the callback service can be reached.
 * Stop: it asks for no more, interrupts the fetches, and gives unfinished callbacks back. Those that it cannot give back lapse by themselves.
 */
export class LeasePoller implements Part {
  readonly name = 'lease poller'
  readonly #options: LeasePollerOptions
  readonly #loop: Loop
  readonly #trouble: TroubleLog
  /** The leases that the agent holds, in the order in which they came. */
  readonly #running = new Map<Lease, { readonly work: LeaseWork; readonly ended: Promise<void> }>()
  #isFull = false
  #failures = 0
  #problem: string | undefined = 'it has not answered yet'

  constructor(options: LeasePollerOptions) {
    this.#options = options
    this.#loop = new Loop({ name: 'lease callbacks', logger: options.logger, pass: signal => this.#pass(signal) })
    this.#trouble = new TroubleLog(options.logger, { began: 'callback service gives no leases', ended: 'callback service answers again' })
  }

  /** Number of callbacks that the agent holds. */
  get held(): number {
    return this.#running.size
  }

  /** Why the agent gets no leases; undefined if the callback service answers. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Whether the agent holds no lease for longer. */
  isOldest(lease: Lease): boolean {
    return this.#running.keys().next().value === lease
  }

  start(): void {
    this.#loop.start()
  }

  /** Makes the poller look again, because there may be room. */
  wake(): void {
    if (this.#isFull) this.#loop.wake()
  }

  async stop(): Promise<void> {
    const { interrupt, giveBackMs, cutOff, logger } = this.#options
    await this.#loop.stop()
    const late = setTimeout(() => {
      logger.warn({ leases: this.held }, 'leases not given back in time: they lapse')
      for (const { work } of this.#running.values()) work.abandon()
      void cutOff()
    }, giveBackMs)
    await interrupt()
    await Promise.all([...this.#running.values()].map(({ ended }) => ended))
    clearTimeout(late)
  }

  /** Leases once. @returns milliseconds to rest */
  async #pass(signal: AbortSignal): Promise<number> {
    const { answerback, room: roomFor, roomInMs, waitSeconds, onLeased } = this.#options
    const room = roomFor(this.held)
    this.#isFull = room === undefined
    if (!room) return roomInMs()
    const isKnown = this.#problem === undefined
    const askedAtMs = performance.now()
    try {
      const leases = await answerback.lease({ ...room, waitSeconds: isKnown ? waitSeconds : 0 }, signal)
      const atMs = performance.now()
      this.#problem = undefined
      this.#trouble.end()
      onLeased(leases.length)
      for (const lease of leases) this.#begin(lease, atMs)
      // A proxy may refuse the requests that wait, and no others. So one that did not wait does not end a row of failures.
      if (leases.length > 0 || atMs - askedAtMs >= EARLY_MS) this.#failures = 0
      else if (isKnown) return this.#restAfter(new AnswerbackUnavailableError('empty'))
      return 0
    } catch (error) {
      if (signal.aborted || !(error instanceof AnswerbackUnavailableError)) throw error
      this.#problem = error.reason
      this.#trouble.tell(error.reason)
      this.#options.onUnavailable(error.reason)
      return this.#restAfter(error)
    }
  }

  #restAfter(error: AnswerbackUnavailableError): number {
    const { backoff, random } = this.#options
    this.#failures += 1
    return waitMs(backoff, this.#failures, error, random())
  }

  #begin(lease: Lease, atMs: number): void {
    const work = this.#options.work(lease, atMs)
    const trace = contextFromCarrier(lease.trace)
    const parent = lease.requestId === undefined ? trace : withRequestId(trace, lease.requestId)
    const attributes = { 'answerback.callback.attempt': lease.attempt, 'answerback.object.count': lease.objectIds.length }
    const ended = inSpan('process callback', { kind: SpanKind.CONSUMER, parent, attributes }, async span => {
      const state = await work.run()
      span.setAttribute('answerback.callback.state', state)
      this.#options.onEnded(state)
      this.#options.logger.debug({ state, objects: lease.objectIds.length }, 'lease ended')
    }).finally(() => {
      this.#running.delete(lease)
      this.wake()
    })
    this.#running.set(lease, { work, ended })
  }
}
