import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { TroubleLog } from '#foundation/telemetry/trouble-log.ts'

const INTERVAL_MS = 500
/** A commit of its own, when nobody else has committed for so long: a database may answer questions while every commit hangs. */
const COMMIT_EVERY_MS = 5000
/** A refusal counts for this long: a full disk takes the commit that we make, which needs no room, and not the callbacks. */
const REFUSED_MS = 1500

/**
 * Knows whether callbacks can be stored: asks the database twice a second, so that health answers need not. Until it has answered once,
 * the answer is no. It also commits something: every 5 s where no callback was committed, and while anything is or was just wrong.
 *
 * Each new reason is logged once, until all is well again: those it finds, and those that accepting meets (`refused`).
 */
export class StorageWatch implements Part {
  readonly name = 'storage watch'
  readonly #loop: Loop
  readonly #accepting: TroubleLog
  #problem: string | undefined = 'the database has not answered yet'
  #committedAtMs = Number.NEGATIVE_INFINITY
  /** Why the last callback was not stored; undefined when one has been since. */
  #refusal: { readonly reason: string; readonly atMs: number } | undefined

  /** @param options.probe throws what is wrong, in words for an operator; returns what is worth a line in the log all the same */
  constructor({ probe, logger }: { readonly probe: (isWriting: boolean) => Promise<string | undefined>; readonly logger: Logger }) {
    const database = new TroubleLog(logger, { began: 'the database takes no callbacks', ended: 'the database takes callbacks again' })
    const cautions = new TroubleLog(logger, { began: 'the database works, but not as asked', ended: 'the database works as asked' })
    this.#accepting = new TroubleLog(logger, {
      began: 'a callback was not stored in the database',
      ended: 'callbacks are stored in the database again',
    })
    this.#loop = new Loop({
      name: 'watch storage',
      logger,
      isReportedElsewhere: () => true,
      pass: async () => {
        const isWriting = performance.now() - this.#committedAtMs >= COMMIT_EVERY_MS
        try {
          const caution = await probe(isWriting)
          if (isWriting) this.#committedAtMs = performance.now()
          this.#problem = undefined
          database.end()
          if (caution === undefined) cautions.end()
          else cautions.tell(caution)
        } catch (error) {
          this.#problem = error instanceof Error ? error.message : String(error)
          this.#committedAtMs = Number.NEGATIVE_INFINITY
          database.tell(this.#problem)
          throw error
        }
        return INTERVAL_MS
      },
    })
  }

  /** @returns undefined when all is well */
  get problem(): string | undefined {
    if (this.#problem !== undefined || !this.#refusal) return this.#problem
    return performance.now() - this.#refusal.atMs < REFUSED_MS ? `a callback was not stored: ${this.#refusal.reason}` : undefined
  }

  /** Says that a callback was committed. */
  accepted(): void {
    this.#committedAtMs = performance.now()
    this.#refusal = undefined
    this.#accepting.end()
  }

  /** Says that the database did not take a callback. The next look commits something, to see whether that still works. */
  refused(reason: string): void {
    this.#committedAtMs = Number.NEGATIVE_INFINITY
    this.#refusal = { reason, atMs: performance.now() }
    this.#accepting.tell(reason)
  }

  start(): void {
    this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }
}
