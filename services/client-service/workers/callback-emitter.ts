import { randomUUID } from 'node:crypto'
import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { rest } from '#foundation/lifecycle/rest.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { contextFromCarrier, inSpan } from '#foundation/telemetry/spans.ts'
import { type Backoff, backoffMs } from '../domain/backoff.ts'
import type { EmittedCallback, PostOutcome } from '../domain/emitted-callback.ts'
import { randomIds } from '../domain/random-ids.ts'

/** The callback service, as the emitter needs it. */
export interface CallbackReceiver {
  /** Sends a callback once, in the active trace. It throws only if it has a bug. */
  post(callback: EmittedCallback, signal: AbortSignal): Promise<PostOutcome>
}

/** The emitter's settings. They may change while it runs: call `wake` after a change. */
export interface EmitterPolicy extends Backoff {
  readonly enabled: boolean
  readonly intervalMs: number
  readonly maxIds: number
  readonly objectCount: number
  readonly maxOutstanding: number
}

export interface CallbackEmitterOptions {
  readonly receiver: CallbackReceiver
  readonly policy: () => EmitterPolicy
  readonly random: () => number
  readonly onEmitted: (outcome: Emission) => void
  readonly onRetry: () => void
  readonly logger: Logger
}

/** The final outcome of a callback. `skipped`: the emitter did not create it. */
export type Emission = 'taken' | 'refused' | 'abandoned' | 'skipped'

/**
 * Sends a callback with random ids every `intervalMs`, the first one at once, each in its own trace.
 *
 * The emitter sends a callback again, with the same key, until it is taken or refused (4xx except 429, final). Newer callbacks are sent meanwhile.
 * While `maxOutstanding` callbacks are not taken, it creates no new ones: it skips and counts them. Stop waits for nothing: rests and
 * requests under way end at once. Callbacks not taken by then are abandoned, logged and counted.
 */
export class CallbackEmitter implements Part {
  readonly name = 'callback emitter'
  readonly #options: CallbackEmitterOptions
  readonly #loop: Loop
  readonly #outstanding = new Set<Promise<void>>()
  #lastAtMs = Number.NEGATIVE_INFINITY
  #isFailing = false

  constructor(options: CallbackEmitterOptions) {
    this.#options = options
    this.#loop = new Loop({ name: 'emit callbacks', logger: options.logger, pass: async signal => this.#pass(signal) })
  }

  /** Number of callbacks that are not taken yet. */
  get outstanding(): number {
    return this.#outstanding.size
  }

  start(): void {
    this.#loop.start()
  }

  /** Applies a changed policy at once. */
  wake(): void {
    this.#loop.wake()
  }

  async stop(): Promise<void> {
    await this.#loop.stop()
    await Promise.all(this.#outstanding)
  }

  #pass(signal: AbortSignal): number {
    const { enabled, intervalMs, maxOutstanding } = this.#options.policy()
    if (!enabled) return Number.POSITIVE_INFINITY
    const now = performance.now()
    const dueInMs = this.#lastAtMs + intervalMs - now
    if (dueInMs > 0) return dueInMs
    this.#lastAtMs = now
    if (this.#outstanding.size >= maxOutstanding) this.#options.onEmitted('skipped')
    else this.#emit(signal)
    return intervalMs
  }

  #emit(signal: AbortSignal): void {
    const { policy, random, onEmitted } = this.#options
    const callback = { idempotencyKey: randomUUID(), objectIds: randomIds(policy(), random) }
    const attributes = { 'answerback.object.count': callback.objectIds.length }
    // An empty carrier means no parent, so that a new trace begins with this span.
    const emission = inSpan('emit callback', { parent: contextFromCarrier({}), attributes }, async span => {
      const outcome = await this.#deliver(callback, signal)
      span.setAttribute('answerback.emission.outcome', outcome)
      onEmitted(outcome)
    }).finally(() => this.#outstanding.delete(emission))
    this.#outstanding.add(emission)
  }

  async #deliver(callback: EmittedCallback, signal: AbortSignal): Promise<Emission> {
    const { receiver, policy, random, onRetry, logger } = this.#options
    const fields = { idempotency_key: callback.idempotencyKey, object_count: callback.objectIds.length }
    let failures = 0
    while (!signal.aborted) {
      if (failures > 0) onRetry()
      const outcome = await receiver.post(callback, signal)
      if (outcome.kind === 'taken') {
        this.#noteSuccess()
        logger.debug({ ...fields, failures }, 'callback taken')
        return 'taken'
      }
      if (outcome.kind === 'refused') {
        logger.error({ ...fields, failures, status: outcome.status }, 'callback refused')
        return 'refused'
      }
      if (signal.aborted) break
      failures += 1
      this.#noteFailure(outcome.reason)
      await rest(backoffMs(policy(), { failures, retryAfterMs: outcome.retryAfterMs }, random()), signal)
    }
    logger.warn({ ...fields, failures }, 'callback abandoned')
    return 'abandoned'
  }

  /** Logs a streak of failures once when it begins; `noteSuccess` logs its end. */
  #noteFailure(reason: string): void {
    if (!this.#isFailing) this.#options.logger.warn({ reason }, 'callbacks are not taken, retrying until they are')
    this.#isFailing = true
  }

  #noteSuccess(): void {
    if (this.#isFailing) this.#options.logger.info({ outstanding: this.outstanding }, 'callbacks are taken again')
    this.#isFailing = false
  }
}
