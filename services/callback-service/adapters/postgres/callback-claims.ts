import { v7 as uuidv7 } from 'uuid'
import { Batcher } from '#foundation/batcher.ts'
import { Prisma, type PrismaClient } from '#prisma'
import type { CallbackState } from '../../domain/callback.ts'
import type { ClaimQuota, ClaimShare, SuspectGroup } from '../../domain/processing/claim-quota.ts'
import type { ClaimedCallback, Verdict } from '../../domain/processing/claimed-callback.ts'
import { SUSPECT_CRASHES } from '../../domain/processing/suspicion.ts'
import { ValueRefusedError } from '../../domain/storage-errors.ts'
import { absolve, settleCallbacks, takeOverLost, tokensLeft } from './callback-leaving.ts'
import { type ClaimedRow, claimedCallback, type Settlement } from './claimed-row.ts'
import { inDatabase } from './database.ts'
import type { DatabaseClock } from './database-clock.ts'

/**
 * Records which worker works on which callback. A claim lasts while its worker lives (see `WorkerSession`). Each call of `claim` makes a
 * new token, and settling requires it. So a worker that was declared dead cannot overwrite the result of its successor.
 */
export class CallbackClaims {
  readonly #prisma: PrismaClient
  readonly #clock: DatabaseClock
  readonly #maxCrashes: number
  readonly #keepOffline: boolean
  /** Tokens in use, including those of claims that are still under way. */
  readonly #tokens = new Map<string, { readonly workerNumber: number; readonly callbacks: number }>()
  /** Tokens of claims that ended with an error. Postgres may have executed them all the same. */
  readonly #unanswered = new Set<string>()
  readonly #settler: Batcher<Settlement, CallbackState | undefined>

  /**
   * @param options.maxCrashes a callback that was in this many crashes is no longer a suspect: a worker claims it and fails it
   * @param options.keepOffline whether objects that are offline are kept where their workspace does not say so (default: true)
   */
  constructor(options: { prisma: PrismaClient; clock: DatabaseClock; maxCrashes: number; keepOffline?: boolean }) {
    this.#prisma = options.prisma
    this.#clock = options.clock
    this.#maxCrashes = options.maxCrashes
    this.#keepOffline = options.keepOffline ?? true
    this.#settler = new Batcher({
      write: items => this.#settle(items),
      maxBatch: 200,
      isItemFault: error => error instanceof ValueRefusedError,
    })
  }

  /**
   * Claims callbacks that are due, the most urgent of each workspace first, and of several workspaces in turn. It skips callbacks that others
   * claim at the same moment.
   * @param quota what the claim may take; the callback that fills the objects of a share is claimed whole
   * @throws {StorageUnavailableError} the claim may have happened all the same; `takeOver` gives such callbacks back
   */
  async claim(workerNumber: number, quota: ClaimQuota): Promise<ClaimedCallback[]> {
    const shares = 'suspects' in quota ? [quota.suspects] : quota.shares
    if (shares.length === 0) return []
    // UUIDs made in one process always increase, even within a millisecond. `takeOver` relies on that.
    const token = uuidv7()
    this.#keepToken(token, { workerNumber, callbacks: shares.reduce((sum, { callbacks }) => sum + callbacks, 0) })
    const sentMs = performance.now()
    // Each share is a subquery with known bounds. One subquery for all, joined to a list of shares, can be planned as a scan of the backlog.
    const due = shares.map(
      (share, i) => Prisma.sql`
        SELECT * FROM (
          SELECT id, priority, due_at, cardinality(object_ids) AS size, ${i}::int AS share, ${share.objects}::bigint AS room FROM callbacks
          WHERE state = 'pending' AND ${'crashes' in share ? isOfGroup(share) : this.#isOfShare(share)}
          ORDER BY priority DESC, due_at
          LIMIT ${share.callbacks}
          FOR UPDATE SKIP LOCKED
        ) AS share_${Prisma.raw(String(i))}`,
    )
    try {
      const rows = await inDatabase(
        () => this.#prisma.$queryRaw<ClaimedRow[]>`
          WITH first AS MATERIALIZED (${Prisma.join(due, ' UNION ALL ')}), due AS (
            SELECT id, share, rank FROM (
              SELECT id, share, room, row_number() OVER urgency AS rank,
                sum(size) OVER (urgency ROWS UNBOUNDED PRECEDING) - size AS before
              FROM first WINDOW urgency AS (PARTITION BY share ORDER BY priority DESC, due_at)
            ) f WHERE before < room
          ), claimed AS (
            UPDATE callbacks c SET state = 'running', claimed_by = ${workerNumber}, claim_token = ${token}::uuid, attempts = attempts + 1
            FROM due WHERE c.id = due.id
            RETURNING c.*, due.share, due.rank
          )
          SELECT c.id, c.workspace, c.attempts, c.crashes, c.object_ids::text, c.unstored, c.request_id, c.traceparent, c.tracestate, c.baggage,
            -- After a worker has died: an object that it stored for this callback needs no second fetch. An object that others stored may be
            -- older than the callback. Comparing times cannot show that, because clocks step. For the same reason no object counts in a further
            -- round: what the callback stored in an earlier round is too old.
            CASE WHEN c.attempts > 1 AND c.retried_at IS NULL THEN ARRAY(
              SELECT o.id FROM objects o
              WHERE o.workspace = c.workspace AND o.id = ANY (c.object_ids) AND o.callback_id = c.id AND (o.online OR coalesce(
                (SELECT w.keep_offline FROM workspaces w WHERE w.name = c.workspace), ${this.#keepOffline}::boolean))
            )::text END AS fresh_ids,
            extract(epoch FROM coalesce(c.retried_at, c.received_at))::float8 * 1000 AS received_ms, extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms
          FROM claimed c
          -- UPDATE returns its rows in no particular order.
          ORDER BY c.rank, c.share`,
      )
      if (rows[0]) this.#clock.observe(rows[0].now_ms, sentMs)
      this.#keepToken(token, { workerNumber, callbacks: rows.length })
      const { steppedAtMs } = this.#clock
      return rows.map(row => claimedCallback(row, { token, claimedAtMs: performance.now(), steppedAtMs }))
    } catch (error) {
      this.#tokens.delete(token)
      this.#unanswered.add(token)
      throw error
    }
  }

  #isOfShare({ workspace, minAgeMs }: ClaimShare): Prisma.Sql {
    return Prisma.sql`workspace = ${workspace} AND crashes NOT BETWEEN ${SUSPECT_CRASHES} AND ${this.#maxCrashes - 1}
            AND due_at <= now() - make_interval(secs => ${minAgeMs}::float8 / 1000)`
  }

  /**
   * Writes how a callback leaves its worker. Safe to repeat.
   * @returns the state that the callback got: that of the verdict, or what somebody wished instead of `pending`; undefined if another
   * worker has taken the callback over, and nothing has changed
   * @throws {StorageUnavailableError} the outcome is unknown; try again
   * @throws {ValueRefusedError} Postgres refuses this verdict; nothing has changed
   */
  async settle(callback: ClaimedCallback, verdict: Verdict): Promise<CallbackState | undefined> {
    return this.#settler.add({ callback, verdict, workerNumber: this.#tokens.get(callback.token)?.workerNumber })
  }

  /** Says that the worker no longer works on a callback, settled or not. Call it once for each claimed callback. */
  release(callback: ClaimedCallback): void {
    const used = this.#tokens.get(callback.token)
    if (used) this.#keepToken(callback.token, { ...used, callbacks: used.callbacks - 1 })
  }

  /**
   * Gives callbacks that nobody works on back to the inbox: those of dead workers, and our own that could not be settled. The former count
   * one crash more. A callback that somebody wished paused or cancelled becomes that. An attempt is not charged if its claim ended with an error although Postgres had executed it.
   * @param dead numbers of the dead workers
   * @returns number of callbacks given back
   */
  async takeOver(workerNumber: number, dead: readonly number[]): Promise<number> {
    // A claim made while this statement is under way may be in the database but not in this list. So the statement ignores newer tokens.
    const newest = uuidv7()
    const tokens = [...this.#tokens.keys()]
    const unanswered = [...this.#unanswered]
    const count = await takeOverLost(this.#prisma, { workerNumber, dead, tokens, newest, unanswered })
    if (unanswered.length > 0) {
      const left = await tokensLeft(this.#prisma, unanswered)
      for (const token of unanswered) if (!left.has(token)) this.#unanswered.delete(token)
    }
    return count
  }

  async #settle(items: readonly Settlement[]): Promise<(CallbackState | undefined)[]> {
    const states = await settleCallbacks(this.#prisma, items, this.#clock.nowMs())
    const lost = items.filter((_, i) => states[i] === undefined)
    await absolve(
      this.#prisma,
      lost.map(({ callback }) => callback.id),
    )
    return states
  }

  #keepToken(token: string, used: { readonly workerNumber: number; readonly callbacks: number }): void {
    if (used.callbacks > 0) this.#tokens.set(token, used)
    else this.#tokens.delete(token)
  }
}

function isOfGroup({ crashes, excluded }: SuspectGroup): Prisma.Sql {
  return Prisma.sql`crashes >= 3 AND crashes = ${crashes} AND workspace <> ALL (${[...excluded]}::text[]) AND due_at <= now()`
}
