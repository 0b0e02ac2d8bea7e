import { Recall } from '#fetching/recall.ts'
import { withRequestId } from '#foundation/http/request-id.ts'
import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { contextFromCarrier, inSpan, SpanKind } from '#foundation/telemetry/spans.ts'
import type { CallbackState } from '../domain/callback.ts'
import type { CallbackEvent } from '../domain/callback-event.ts'
import type { ClaimQuota } from '../domain/processing/claim-quota.ts'
import type { ClaimTurns } from '../domain/processing/claim-turns.ts'
import type { ClaimedCallback, Verdict } from '../domain/processing/claimed-callback.ts'
import { isStorageTrouble, StorageUnavailableError } from '../domain/storage-errors.ts'

/** The inbox, as a worker needs it. */
export interface Claims {
  claim(workerNumber: number, quota: ClaimQuota): Promise<ClaimedCallback[]>
  /** @returns the state that it got; undefined if the claim was lost */
  settle(callback: ClaimedCallback, verdict: Verdict): Promise<CallbackState | undefined>
  release(callback: ClaimedCallback): void
}

export interface CallbackWorkerOptions {
  readonly claims: Claims
  /** This worker's number while it may claim. */
  readonly workerNumber: () => number | undefined
  /** What the worker may claim now; undefined if nothing. */
  readonly quota: (running: number) => ClaimQuota | undefined
  /** Decides whose callbacks the quota takes. */
  readonly turns: Pick<ClaimTurns, 'arrived' | 'claimed' | 'left' | 'hasActive'>
  /** Finds the workspaces that have callbacks that are due. */
  readonly survey: () => Promise<readonly string[]>
  /** Processes a callback until the end of its attempt, or until it is recalled. It throws only if it has a bug. */
  readonly process: (callback: ClaimedCallback, recall: Recall) => Promise<Verdict>
  /** The verdict on a callback whose processing threw. */
  readonly crashed: (callback: ClaimedCallback) => Verdict
  /** Interrupts all processing. Called once, when the worker stops. */
  readonly interrupt: () => Promise<void>
  readonly pollMs: number
  /** Tells what happens to callbacks. */
  readonly emit: (event: CallbackEvent) => void
  readonly logger: Logger
}

const SETTLE_RETRY_MS = 500
/** The worker spends about one part in this many of its time on surveys. */
const SURVEY_PART = 20
/** Maximum time between surveys that `SURVEY_PART` may cause. A survey that took long because the database hung must not delay the next. */
const MAX_SURVEY_REST_MS = 1000

/**
 * Claims callbacks that are due and starts each of them at once, so that a slow callback does not delay others.
 * Every accept wakes the worker. Every `pollMs` it also looks for callbacks that other replicas accepted, or whose next attempt is due: it
 * asks which workspaces have any, and claims theirs.
 * Stop: it claims no more, interrupts the processing, and gives unfinished callbacks back, uncharged.
 */
export class CallbackWorker implements Part {
  readonly name = 'callback worker'
  readonly #options: CallbackWorkerOptions
  readonly #loop: Loop
  readonly #running = new Set<Promise<void>>()
  /** The callbacks that the worker works on, by id. */
  readonly #recalls = new Map<string, Recall>()
  #isStopping = false
  /** Whether the last claim may have left callbacks behind because there was no room. */
  #wasFull = false
  #nextSurveyAtMs = 0
  #wakes = 0

  constructor(options: CallbackWorkerOptions) {
    this.#options = options
    this.#loop = new Loop({
      name: 'claim callbacks',
      logger: options.logger,
      isReportedElsewhere: isStorageTrouble,
      pass: () => this.#claim(),
    })
  }

  /** Number of callbacks that the worker works on. */
  get running(): number {
    return this.#running.size
  }

  start(): void {
    this.#loop.start()
  }

  /** Makes the worker claim at once, because a workspace has a callback that is due. */
  arrived(workspace: string): void {
    this.#options.turns.arrived(workspace)
    this.#loop.wake()
  }

  /** Makes the worker look at once, because any workspace may have something to claim. */
  wake(): void {
    this.#nextSurveyAtMs = 0
    this.#wakes += 1
    this.#loop.wake()
  }

  /** Ends the attempts of callbacks that somebody wants back. Ids of other callbacks have no effect. */
  recall(ids: readonly string[]): void {
    for (const id of ids) this.#recalls.get(id)?.call()
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#loop.stop()
    await this.#options.interrupt()
    await Promise.all(this.#running)
  }

  async #claim(): Promise<number> {
    const { claims, workerNumber, quota: quotaFor, turns, pollMs, emit } = this.#options
    const number = workerNumber()
    if (number === undefined) return pollMs
    await this.#survey()
    const quota = quotaFor(this.#running.size)
    this.#wasFull = quota === undefined
    if (quota === undefined) return this.#untilSurveyMs
    const claimed = await claims.claim(number, quota)
    turns.claimed('shares' in quota ? quota.shares : [], claimed)
    for (const callback of claimed) {
      emit({ event: 'claimed', id: callback.id, workspace: callback.workspace, attempt: callback.attempt, waitedMs: callback.waitedMs })
      const running = this.#run(callback).finally(() => {
        this.#running.delete(running)
        claims.release(callback)
        turns.left(callback)
        if (this.#wasFull) this.#loop.wake()
      })
      this.#running.add(running)
    }
    this.#wasFull = 'suspects' in quota ? claimed.length === quota.suspects.callbacks : turns.hasActive
    const isTurnOfSuspects = 'shares' in quota && quota.suspectsWait === true && this.#running.size === 0
    return this.#wasFull || isTurnOfSuspects ? 0 : this.#untilSurveyMs
  }

  /** Looks for workspaces with callbacks that are due, if it is time to. */
  async #survey(): Promise<void> {
    const { turns, survey, pollMs } = this.#options
    const startedMs = performance.now()
    if (startedMs < this.#nextSurveyAtMs) return
    const wakes = this.#wakes
    for (const workspace of await survey()) turns.arrived(workspace)
    const restMs = Math.max(pollMs, Math.min(MAX_SURVEY_REST_MS, SURVEY_PART * (performance.now() - startedMs)))
    if (wakes === this.#wakes) this.#nextSurveyAtMs = startedMs + restMs
  }

  get #untilSurveyMs(): number {
    return Math.max(0, this.#nextSurveyAtMs - performance.now())
  }

  async #run(callback: ClaimedCallback): Promise<void> {
    const { logger, process, crashed, emit } = this.#options
    const { id, workspace, waitedMs } = callback
    const claimedAtMs = performance.now()
    const trace = contextFromCarrier(callback.trace)
    const parent = callback.requestId === undefined ? trace : withRequestId(trace, callback.requestId)
    const attributes = {
      'answerback.callback.id': callback.id,
      'answerback.workspace': callback.workspace,
      'answerback.callback.attempt': callback.attempt,
      'answerback.object.count': callback.missingIds.length,
    }
    const recall = new Recall()
    this.#recalls.set(id, recall)
    await inSpan('process callback', { kind: SpanKind.CONSUMER, parent, attributes }, async span => {
      const verdict = await process(callback, recall).catch(error => {
        logger.error(
          { callback_id: callback.id, workspace: callback.workspace, attempt: callback.attempt, err: error },
          'callback processing crashed',
        )
        return crashed(callback)
      })
      // After a take-over, a later claim of this process may have its own.
      if (this.#recalls.get(id) === recall) this.#recalls.delete(id)
      const state = await this.#settle(callback, verdict)
      span.setAttribute('answerback.callback.state', state ?? verdict.state)
      if (state) {
        const workedMs = performance.now() - claimedAtMs
        emit({
          event: 'settled',
          id,
          workspace,
          attempt: callback.attempt,
          state,
          objects: callback.missingIds.length,
          waitedMs,
          workedMs,
        })
      }
      if (state === 'failed')
        logger.error({ callback_id: id, workspace, attempts: callback.attempt, unstored: verdict.unstored.length }, 'callback failed')
      else
        logger.debug(
          { callback_id: id, workspace, state: state ?? verdict.state, is_settled: state !== undefined },
          'callback left its worker',
        )
    })
  }

  /**
   * Writes the verdict, and tries again until that succeeds or the worker stops. It also gives up on an error that does not pass. The claim
   * then ends without a verdict: a worker takes the callback over, and the attempt is charged.
   */
  async #settle(callback: ClaimedCallback, verdict: Verdict): Promise<CallbackState | undefined> {
    const { claims, logger } = this.#options
    for (;;) {
      try {
        return await claims.settle(callback, verdict)
      } catch (error) {
        if (!(error instanceof StorageUnavailableError)) {
          logger.error(
            { callback_id: callback.id, workspace: callback.workspace, state: verdict.state, err: error },
            'callback could not be settled',
          )
          return undefined
        }
        if (this.#isStopping) {
          logger.warn(
            { callback_id: callback.id, workspace: callback.workspace, err: error },
            'callback not given back: another worker will take it over',
          )
          return undefined
        }
        await new Promise(resolve => setTimeout(resolve, SETTLE_RETRY_MS))
      }
    }
  }
}
