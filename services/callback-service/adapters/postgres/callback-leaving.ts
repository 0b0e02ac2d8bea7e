import { Prisma, type PrismaClient } from '#prisma'
import type { CallbackState } from '../../domain/callback.ts'
import { type Settlement, settlement } from './claimed-row.ts'
import { inDatabase } from './database.ts'
import { lockedInOrder, RETURNS, STATE_BY_WISH, WITHOUT_CLAIM, waitAfter } from './lease-ending.ts'
import { appended, withEntry } from './steering-sql.ts'

/** The time in a token, which is a UUIDv7: when its callback was claimed, by the clock of the process that claimed it. */
const CLAIMED_AT = Prisma.sql`('x0000' || substr(claim_token::text, 1, 8) || substr(claim_token::text, 10, 4))::bit(64)::bigint`

/**
 * Writes how callbacks leave their worker or their agent, in one statement. A verdict `pending` becomes what somebody wished meanwhile.
 * @param nowMs the time of the database's clock, as this process knows it
 * @returns the state that each callback got, in the order of `items`; undefined if its claim was lost, or its agent has delivered
 *   more meanwhile, and nothing has changed
 * @throws {StorageUnavailableError} the outcome is unknown; try again
 * @throws {ValueRefusedError} Postgres refuses one of the verdicts; nothing has changed
 */
export async function settleCallbacks(
  prisma: PrismaClient,
  items: readonly Settlement[],
  nowMs: number,
): Promise<(CallbackState | undefined)[]> {
  const settlements = JSON.stringify(inOrder(items, ({ callback }) => callback.id).map(item => settlement(item, nowMs)))
  // A claim has one worker, which settles it once. That needs no locks.
  const inTurn = items.some(({ agent }) => agent) ? Prisma.sql`AND ${lockedInOrder(items.map(({ callback }) => callback))}` : Prisma.empty
  const state = Prisma.sql`CASE r.state WHEN 'pending' THEN ${STATE_BY_WISH} ELSE r.state::callback_state END`
  const rows = await inDatabase(
    () => prisma.$queryRaw<{ id: string; token: string; state: CallbackState }[]>`
      UPDATE callbacks c SET
        state = ${state},
        unstored = r.unstored,
        attempts = c.attempts - r.refund,
        -- Workers do not say what an attempt brought, so only leases wait for their number.
        due_at = CASE WHEN r.state = 'pending' THEN clock_timestamp()
          + greatest(make_interval(secs => r.delay_ms / 1000.0), CASE WHEN r.refund = 1 AND NOT r.brings THEN ${waitAfter(RETURNS)} END) ELSE c.due_at END,
        returns = CASE WHEN r.refund = 1 AND NOT r.brings THEN ${RETURNS} ELSE 0 END,
        finished_at = CASE WHEN r.state <> 'pending' OR wish = 'cancel' THEN clock_timestamp() END,
        -- Readers of changes find the others by finished_at or due_at.
        steered_at = CASE WHEN r.state = 'pending' AND wish = 'pause' THEN clock_timestamp() ELSE steered_at END,
        -- Most callbacks settle once. Building their entry here instead of in the process would make the statement a third dearer.
        timeline = CASE WHEN timeline IS NULL AND wish IS NULL THEN r.entries
          ELSE ${appended(Prisma.sql`jsonb_build_array((r.entries -> 0) || jsonb_build_object('state', ${state}))`)} END,
        wish = NULL,
        ${WITHOUT_CLAIM}
      FROM json_to_recordset(${settlements}::json)
        AS r(id uuid, token uuid, state text, unstored jsonb, delay_ms float8, refund int, seen int, brings boolean, entries jsonb)
      WHERE c.id = r.id AND c.claim_token = r.token AND (r.seen IS NULL OR r.seen = coalesce(cardinality(c.delivered), 0)) ${inTurn}
      RETURNING c.id, r.token, c.state`,
  )
  // By claim: after a take-over, the batch may have an old and a new claim of one callback.
  const states = new Map(rows.map(({ id, token, state }) => [`${id} ${token}`, state]))
  return items.map(({ callback }) => states.get(`${callback.id} ${callback.token}`))
}

/** Claims that `takeOver` of `CallbackClaims` ends. */
interface LostClaims {
  readonly workerNumber: number
  readonly dead: readonly number[]
  /** Tokens of this worker that are in use. */
  readonly tokens: readonly string[]
  /** A token that is newer than all claims that are not in use. */
  readonly newest: string
  /** Tokens of claims that ended with an error. */
  readonly unanswered: readonly string[]
}

/**
 * Ends the claims that nobody works on. The callbacks go back to the inbox, or become what somebody wished. It skips rows that another
 * statement has locked, because two statements that wait for each other's rows would block each other. The next call finds them.
 * @returns number of callbacks
 */
export function takeOverLost(prisma: PrismaClient, { workerNumber, dead, tokens, newest, unanswered }: LostClaims): Promise<number> {
  return inDatabase(
    () => prisma.$executeRaw`
      WITH lost AS (
        SELECT id FROM callbacks
        WHERE state = 'running' AND CASE WHEN claimed_by = ${workerNumber}
          THEN claim_token <> ALL (${[...tokens]}::uuid[]) AND claim_token < ${newest}::uuid
          ELSE claimed_by = ANY (${[...dead]}::int[]) END
        FOR UPDATE SKIP LOCKED
      )
      UPDATE callbacks SET state = ${STATE_BY_WISH}, due_at = clock_timestamp(),
        finished_at = CASE wish WHEN 'cancel' THEN clock_timestamp() END,
        steered_at = CASE wish WHEN 'pause' THEN clock_timestamp() ELSE steered_at END,
        crashes = CASE WHEN claimed_by = ${workerNumber} THEN crashes ELSE crashes + 1 END,
        attempts = CASE WHEN claim_token = ANY (${[...unanswered]}::uuid[]) THEN attempts - 1 ELSE attempts END,
        timeline = ${withEntry(Prisma.sql`jsonb_build_object('event', CASE WHEN claimed_by = ${workerNumber} THEN 'given_back' ELSE 'taken_over' END,
          'worker', claimed_by, 'by', ${`worker ${workerNumber}`}::text, 'claimed_at', ${CLAIMED_AT}, 'attempt', attempts - crashes, 'state', ${STATE_BY_WISH})`)},
        wish = NULL, ${WITHOUT_CLAIM}
      WHERE id = ANY (ARRAY(SELECT id FROM lost))`,
  )
}

/** @returns those of the tokens that a callback still has */
export async function tokensLeft(prisma: PrismaClient, tokens: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await inDatabase(
    () => prisma.$queryRaw<{ claim_token: string }[]>`
      SELECT DISTINCT claim_token FROM callbacks WHERE state = 'running' AND claim_token = ANY (${[...tokens]}::uuid[])`,
  )
  return new Set(rows.map(({ claim_token }) => claim_token))
}

/**
 * Takes back the crash of callbacks that were taken over from a worker that lives: its session was lost, or it hung. There was no crash.
 */
export async function absolve(prisma: PrismaClient, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await inDatabase(
    () => prisma.$executeRaw`
      UPDATE callbacks SET crashes = crashes - 1, attempts = attempts - 1, steered_at = clock_timestamp()
      WHERE id = ANY (${inOrder(ids, id => id)}::uuid[]) AND crashes > 0 AND finished_at IS NULL`,
  )
}

/** All statements that wait for the locks of several rows lock them in this order, so that two of them cannot block each other. */
export function inOrder<Item>(items: readonly Item[], idOf: (item: Item) => string): Item[] {
  return items.toSorted((a, b) => (idOf(a) < idOf(b) ? -1 : 1))
}
