import type { Logger } from '#foundation/telemetry/logger.ts'
import type { PrismaClient } from '#prisma'
import { inDatabase } from './database.ts'
import type { DatabaseClock } from './database-clock.ts'

/** What is less may be our own doing: a virtual machine that is moved stands still for a moment, and its clock with it. */
const MIN_STEP_MS = 1000

/** Callbacks moved by one statement. */
const BATCH = 10_000

/** A database that cannot move all its objects within a statement's time keeps their times as they are. */
const MAX_TRIES = 5

/**
 * Makes up for steps of the database's clock. What was stored before a step carries times of the clock as it was: objects would expire too
 * late or too early, and callbacks would be due in an hour. All of that is moved by the step, by one replica: the number of the step decides which.
 */
export class ClockSteps {
  readonly #prisma: PrismaClient
  readonly #clock: DatabaseClock
  readonly #logger: Logger
  #known: number | undefined
  #tries = 0

  constructor(options: { prisma: PrismaClient; clock: DatabaseClock; logger: Logger }) {
    this.#prisma = options.prisma
    this.#clock = options.clock
    this.#logger = options.logger
  }

  /**
   * Makes up for a step that the clock has noticed, unless another replica did.
   * @param latest number of the last step that a replica made up for, as just read
   * @throws {StorageUnavailableError} nothing was moved; the next call tries again, a few times
   */
  async makeUp(latest: number): Promise<void> {
    const { step } = this.#clock
    // Safe to repeat, and not numbered: whoever did it before us may have died in the middle.
    if (this.#known === undefined || (step && step.byMs < 0)) await this.#moveUntouched()
    const isMadeUp = this.#known !== undefined && latest > this.#known
    this.#known = latest
    if (!step) return
    const isWorthIt = !isMadeUp && Math.abs(step.byMs) >= MIN_STEP_MS
    if (isWorthIt && this.#tries < MAX_TRIES) {
      this.#tries += 1
      const hasMoved = await this.#move(latest + 1, step.byMs, this.#clock.at(step.afterMs))
      this.#known = latest + 1
      if (hasMoved)
        this.#logger.warn({ step_ms: Math.round(step.byMs) }, "the database's clock stepped: what was stored before has moved with it")
    } else if (isWorthIt) {
      this.#logger.error(
        { step_ms: Math.round(step.byMs) },
        "the database's clock stepped: what was stored before could not be moved with it",
      )
    }
    this.#tries = 0
    this.#clock.forgetStep()
  }

  /**
   * Of objects, those stored since the step have the right times: they were stored after `sinceMs`, by the clock as it is now, however late this
   * statement begins. Callbacks that nobody has worked on were due when they came: where that is in the future, the clock went back.
   * @returns false when another replica was faster
   */
  async #move(number: number, byMs: number, sinceMs: number): Promise<boolean> {
    const [row] = await inDatabase(
      () => this.#prisma.$queryRaw<{ won: boolean }[]>`
        WITH won AS (
          INSERT INTO clock_steps (number, step_ms) VALUES (${number}, ${byMs}) ON CONFLICT DO NOTHING RETURNING make_interval(secs => step_ms / 1000) AS by
        ), moved_objects AS (
          UPDATE objects SET stored_at = stored_at + by, fetched_at = fetched_at + by, expires_at = expires_at + by, last_seen_at = last_seen_at + by
          FROM won WHERE stored_at NOT BETWEEN to_timestamp(${sinceMs}::float8 / 1000) AND clock_timestamp()
        ), moved_retries AS (
          UPDATE callbacks SET due_at = due_at + by FROM won
          WHERE ${byMs}::float8 < 0 AND state = 'pending' AND unstored IS NOT NULL AND due_at > now()
        )
        SELECT EXISTS (SELECT FROM won) AS won`,
    )
    return row?.won ?? false
  }

  /** They go before those that came since the step, and keep their order. */
  async #moveUntouched(): Promise<void> {
    const move = (): Promise<number> =>
      inDatabase(
        () => this.#prisma.$executeRaw`
          UPDATE callbacks c SET due_at = now() - interval '1 minute' + f.n * interval '1 microsecond' FROM (
            SELECT id, row_number() OVER (ORDER BY due_at) AS n FROM (
              SELECT id, due_at FROM callbacks WHERE state = 'pending' AND unstored IS NULL AND due_at > now() + interval '500 ms'
              ORDER BY due_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED
            ) r
          ) f WHERE c.id = f.id`,
      )
    while ((await move()) === BATCH);
  }
}
