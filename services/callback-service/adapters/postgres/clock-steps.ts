import type { Logger } from '#foundation/telemetry/logger.ts'
import type { PrismaClient } from '#prisma'
import type { KnownSteps } from './cluster-state.ts'
import { inDatabase } from './database.ts'
import type { DatabaseClock } from './database-clock.ts'

/**
 * Smallest step to correct. A smaller one may be an error of measurement: the clock of a virtual machine stands still while the machine
 * moves.
 */
const MIN_STEP_MS = 1000

/** Maximum number of callbacks that one statement moves. */
const BATCH = 10_000

/**
 * Maximum number of tries for one step. If the database cannot move all objects within the time of one statement, it keeps the old times.
 */
const MAX_TRIES = 5

/**
 * Makes up for steps of the database's clock. Rows stored before a step have times of the old clock. Their objects would expire too late or
 * too early, and their callbacks might be due in an hour. One replica moves all these times by the step; the number of the step decides
 * which replica.
 */
export class ClockSteps {
  readonly #prisma: PrismaClient
  readonly #clock: DatabaseClock
  readonly #logger: Logger
  #known: KnownSteps | undefined
  /** Rows of transactions before this one are older than the step. */
  #oldestTransaction: string | undefined
  #tries = 0

  constructor(options: { prisma: PrismaClient; clock: DatabaseClock; logger: Logger }) {
    this.#prisma = options.prisma
    this.#clock = options.clock
    this.#logger = options.logger
  }

  /**
   * Makes up for a step that the clock has noticed, as far as no other replica has done so.
   * @param latest what replicas have made up for, read just before
   * @throws {StorageUnavailableError} nothing was moved; the next calls try again, up to five times in all
   */
  async makeUp(latest: KnownSteps): Promise<void> {
    const known = this.#known
    const hasGoneBack = (this.#clock.step?.byMs ?? 0) < 0
    // This is safe to repeat, and has no number: the replica that began it may have died half-way.
    if (!known || hasGoneBack) await this.#moveUntouched()
    this.#known = latest
    if (known) this.#clock.forgetStep(latest.byMs - known.byMs)
    const { step } = this.#clock
    if (!step) {
      this.#oldestTransaction = latest.oldestTransaction
      return
    }
    const isWorthIt = Math.abs(step.byMs) >= MIN_STEP_MS
    if (isWorthIt && this.#tries < MAX_TRIES) {
      this.#tries += 1
      const hasMoved = await this.#move(latest.number + 1, step.byMs, this.#clock.at(step.afterMs))
      this.#tries = 0
      // Another replica was faster. The next look shows how much it has made up for.
      if (!hasMoved) return
      this.#known = { ...latest, number: latest.number + 1, byMs: latest.byMs + step.byMs }
      this.#logger.warn({ step_ms: Math.round(step.byMs) }, "the database's clock stepped: stored times have moved with it")
    } else if (isWorthIt) {
      this.#logger.error({ step_ms: Math.round(step.byMs) }, "the database's clock stepped: stored times could not be moved with it")
    }
    this.#tries = 0
    this.#clock.forgetStep(step.byMs)
  }

  /**
   * Moves the times of objects stored before the step. Those stored after `sinceMs`, by the clock as it is now, have the right times already, however
   * late this statement begins. After a step back by a minute, what was stored a minute ago seems to be among them, but its transaction is older.
   * If the clock went back, it also moves the callbacks that wait for their next attempt.
   * @returns false if another replica was faster
   */
  async #move(number: number, byMs: number, sinceMs: number): Promise<boolean> {
    const [row] = await inDatabase(
      () => this.#prisma.$queryRaw<{ won: boolean }[]>`
        WITH won AS (
          INSERT INTO clock_steps (number, step_ms) VALUES (${number}, ${byMs}) ON CONFLICT DO NOTHING RETURNING make_interval(secs => step_ms / 1000) AS by
        ), moved_objects AS (
          UPDATE objects SET stored_at = stored_at + by, fetched_at = fetched_at + by, expires_at = expires_at + by, last_seen_at = last_seen_at + by
          FROM won WHERE stored_at NOT BETWEEN to_timestamp(${sinceMs}::float8 / 1000) AND clock_timestamp()
            OR age(objects.xmin) > age(${this.#oldestTransaction ?? null}::text::xid)
        ), moved_retries AS (
          UPDATE callbacks SET due_at = due_at + by FROM won
          WHERE ${byMs}::float8 < 0 AND state = 'pending' AND (unstored IS NOT NULL OR returns > 0) AND due_at > now()
        )
        SELECT EXISTS (SELECT FROM won) AS won`,
    )
    return row?.won ?? false
  }

  /** Makes callbacks that nobody has worked on due now, if the clock went back. They go before newer callbacks and keep their order. */
  async #moveUntouched(): Promise<void> {
    const move = (): Promise<number> =>
      inDatabase(
        () => this.#prisma.$executeRaw`
          UPDATE callbacks c SET due_at = now() - interval '1 minute' + f.n * interval '1 microsecond' FROM (
            SELECT id, row_number() OVER (ORDER BY due_at) AS n FROM (
              SELECT id, due_at FROM callbacks WHERE state = 'pending' AND unstored IS NULL AND returns = 0 AND due_at > now() + interval '500 ms'
              ORDER BY due_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED
            ) r
          ) f WHERE c.id = f.id`,
      )
    while ((await move()) === BATCH);
  }
}
