import { randomUUID } from 'node:crypto'
import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { rest } from '#foundation/lifecycle/rest.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { contextFromCarrier, inSpan } from '#foundation/telemetry/tracing.ts'
import { type Backoff, backoffMs } from '../domain/backoff.ts'
import type { EmittedCallback, PostOutcome } from '../domain/emitted-callback.ts'
import { randomIds } from '../domain/random-ids.ts'

/** The callback service, as the emitter needs it. */
export interface CallbackReceiver {
  /** Sends once, in the active trace; throws on a bug only. */
  post(callback: EmittedCallback, signal: AbortSignal): Promise<PostOutcome>
}

/** What the emitter does now. It may change while it runs: then `wake` it. */
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

/** What became of a callback; `skipped`: it was never made. */
export type Emission = 'taken' | 'refused' | 'abandoned' | 'skipped'

/**
 * Sends a callback with random ids every `intervalMs`, the first at once, each in a trace of its own.
 *
 * One that is not taken is sent again, with the same key, until it is, or is refused (4xx: final); newer ones go on meanwhile. While
 * `maxOutstanding` are on their way no new one is made: what was begun is kept, what was not is skipped and counted.
 * Stop waits for nobody: rests and requests under way end at once, and what is not taken by then is abandoned, logged and counted.
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

  /** Callbacks that are not taken yet. */
  get outstanding(): number {
    return this.#outstanding.size
  }

  start(): void {
    this.#loop.start()
  }

  /** The policy may have changed. */
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
    // An empty carrier is no parent: whatever is active here, the trace begins with this span.
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

  /** A streak of failures is logged once when it begins and once when it ends. */
  #noteFailure(reason: string): void {
    if (!this.#isFailing) this.#options.logger.warn({ reason }, 'callbacks are not taken, retrying until they are')
    this.#isFailing = true
  }

  #noteSuccess(): void {
    if (this.#isFailing) this.#options.logger.info({ outstanding: this.outstanding }, 'callbacks are taken again')
    this.#isFailing = false
  }
}
