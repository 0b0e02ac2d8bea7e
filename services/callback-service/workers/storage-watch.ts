import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { TroubleLog } from '#foundation/telemetry/trouble-log.ts'

const INTERVAL_MS = 500
/** Time without a commit after which the watch commits something itself. A database may answer queries while every commit hangs. */
const COMMIT_EVERY_MS = 5000
/**
 * How long a refusal counts as a problem. On a full disk the watch's own commit succeeds, because it needs no room, but callbacks do not.
 */
const REFUSED_MS = 1500

/** What is worth a line in the log although callbacks can be stored. */
interface Cautions {
  /** A setting of ours that the server does not use. */
  readonly settings: string | undefined
  /** Why callbacks can be lost that were answered with 202. */
  readonly durability: string | undefined
}

/**
 * Knows whether callbacks can be stored. It asks the database twice a second, so that health checks need not. Until the database has
 * answered once, the answer is no. It also commits something: after 5 s without a committed callback, and while there is or just was a
 * problem.
 *
 * Each new reason is logged once until all is well again. Reasons come from the watch itself and from accepting (`refused`).
 */
export class StorageWatch implements Part {
  readonly name = 'storage watch'
  readonly #loop: Loop
  readonly #accepting: TroubleLog
  #weakness: string | undefined
  #problem: string | undefined = 'the database has not answered yet'
  #committedAtMs = Number.NEGATIVE_INFINITY
  /** Why the last callback was not stored; undefined if it was. */
  #refusal: { readonly reason: string; readonly atMs: number } | undefined

  /** @param options.probe throws the problem, in words for an operator. If callbacks can be stored, it returns cautions to log */
  constructor({ probe, logger }: { readonly probe: (isWriting: boolean) => Promise<Cautions>; readonly logger: Logger }) {
    const database = new TroubleLog(logger, { began: 'the database takes no callbacks', ended: 'the database takes callbacks again' })
    const settings = new TroubleLog(logger, { began: 'the database ignores our settings', ended: 'the database uses our settings' })
    const durability = new TroubleLog(logger, { began: 'accepted callbacks can be lost', ended: 'accepted callbacks are safe' })
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
          const cautions = await probe(isWriting)
          if (isWriting) this.#committedAtMs = performance.now()
          this.#problem = undefined
          database.end()
          tellOrEnd(settings, cautions.settings)
          tellOrEnd(durability, cautions.durability)
          this.#weakness = cautions.durability
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

  /** Why callbacks cannot be stored; undefined if all is well. */
  get problem(): string | undefined {
    if (this.#problem !== undefined || !this.#refusal) return this.#problem
    return performance.now() - this.#refusal.atMs < REFUSED_MS ? `a callback was not stored: ${this.#refusal.reason}` : undefined
  }

  /** Why callbacks can be lost that were answered with 202, as far as the last look knows; undefined if they cannot. */
  get weakness(): string | undefined {
    return this.#weakness
  }

  /** Notes that a callback was committed. */
  accepted(): void {
    this.#committedAtMs = performance.now()
    this.#refusal = undefined
    this.#accepting.end()
  }

  /** Notes that the database did not take a callback. The next look commits something, to check whether that works. */
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

function tellOrEnd(log: TroubleLog, reason: string | undefined): void {
  if (reason === undefined) log.end()
  else log.tell(reason)
}
