import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { StorageUnavailableError } from '../domain/storage-errors.ts'
import { type ChangeSource, type ClockLook, type Listener, WorkspaceFeed } from './workspace-feed.ts'

export interface ChangePollerOptions {
  readonly source: ChangeSource
  /** Time for which finished callbacks are kept. */
  readonly retentionMs: () => number
  readonly logger: Logger
}

const POLL_MS = 250
/** Rest after a poll, in times of its duration, so that polls take at most a fifth of the time of one connection. */
const REST_SHARE = 4
/** A workspace whose poll takes longer rests by itself, so that the others do not rest for it. */
const SLOW_MS = POLL_MS / (1 + REST_SHARE)
const MAX_REST_MS = 5000
/** Time for which a listener may go on from its last position. Older changes would take long to find. */
const MAX_AGE_MS = 600_000

/**
 * Looks for changes four times a second, one workspace after the other, while anybody listens. While the database is away, listeners stay
 * and miss nothing. If its clock steps, all must start over: nobody can say which changes came since.
 */
export class ChangePoller {
  readonly name = 'change-poller'
  readonly #options: ChangePollerOptions
  readonly #feeds = new Map<string, WorkspaceFeed>()
  /** When the next poll of a workspace may begin that is slow or has much to send, by its name: listeners who come and go make new feeds. */
  readonly #restsUntilMs = new Map<string, number>()
  readonly #loop: Loop
  #last: ClockLook | undefined

  constructor(options: ChangePollerOptions) {
    this.#options = options
    this.#loop = new Loop({
      name: this.name,
      logger: options.logger,
      pass: () => this.#poll(),
      isReportedElsewhere: error => error instanceof StorageUnavailableError,
    })
  }

  start(): void {
    this.#loop.start()
  }

  async stop(): Promise<void> {
    await this.#loop.stop()
  }

  /** Begins to deliver. @returns a function that ends it */
  listen(listener: Listener): () => void {
    const { workspace } = listener
    const feed = this.#feeds.get(workspace) ?? this.#newFeed(workspace)
    this.#feeds.set(workspace, feed)
    feed.add(listener)
    // A poll under way admits it, or the next one does. Only the first must wake the loop: many that come at once share a poll.
    if (this.#last === undefined) this.#loop.wake()
    return () => feed.remove(listener)
  }

  #newFeed(workspace: string): WorkspaceFeed {
    const { source, retentionMs } = this.#options
    return new WorkspaceFeed({ source, workspace, maxAgeMs: Math.min(MAX_AGE_MS, retentionMs()) })
  }

  async #poll(): Promise<number> {
    for (const [workspace, feed] of this.#feeds) if (feed.isEmpty) this.#feeds.delete(workspace)
    if (this.#feeds.size === 0) {
      this.#last = undefined
      return Number.POSITIVE_INFINITY
    }
    const startedMs = performance.now()
    const look = await this.#look()
    if (this.#last && hasStepped(this.#last, look))
      for (const feed of this.#feeds.values()) feed.startOver("the database's clock has stepped")
    this.#last = look
    const failures: unknown[] = []
    let fastMs = performance.now() - startedMs
    for (const [workspace, feed] of this.#feeds) {
      if (performance.now() < (this.#restsUntilMs.get(workspace) ?? 0)) continue
      const feedStartedMs = performance.now()
      const sendingMs = await feed.poll(look).catch(error => {
        failures.push(error)
        return 0
      })
      const tookMs = performance.now() - feedStartedMs
      const isSlow = tookMs > SLOW_MS
      if (!isSlow) fastMs += tookMs
      const restMs = Math.max(sendingMs, isSlow ? Math.min(MAX_REST_MS, REST_SHARE * tookMs) : 0)
      if (restMs > 0) this.#restsUntilMs.set(workspace, performance.now() + restMs)
    }
    if (failures.length > 0) throw failures[0]
    return Math.max(1, POLL_MS - (performance.now() - startedMs), REST_SHARE * fastMs)
  }

  async #look(): Promise<ClockLook> {
    try {
      return await this.#options.source.look()
    } catch (error) {
      for (const feed of this.#feeds.values()) feed.interrupt()
      throw error
    }
  }
}

function hasStepped(before: ClockLook, now: ClockLook): boolean {
  return now.clockStep !== before.clockStep || now.nowUs < before.nowUs
}
