import { Prisma } from '#prisma'
import { withEntry } from './steering-sql.ts'

/** What becomes of a running callback that goes back: somebody may have wished something else than the inbox. */
export const STATE_BY_WISH = Prisma.sql`(CASE wish WHEN 'pause' THEN 'paused' WHEN 'cancel' THEN 'cancelled' ELSE 'pending' END)::callback_state`

/**
 * The condition that a row of `callbacks` is leased, and its lease is live. The database's clock decides: a step of the clock can end a lease.
 * Whoever uses a lease also compares `claim_token` and `agent_id`. `now()` is when the statement began: it may see a lease that was given after that.
 */
export const IS_LIVE_LEASE = Prisma.sql`state = 'running' AND agent_id IS NOT NULL AND leased_at <= clock_timestamp() AND now() < lease_expires_at`

/**
 * The condition that a row of `callbacks` c is one of these leases. It locks them before the statement changes any, in the order of their ids.
 * Requests for the same leases come at the same time, at several replicas. Left to itself, Postgres may lock rows as they lie on the disk, and two
 * statements would wait for each other's.
 */
export function lockedInOrder(leases: readonly { readonly id: string; readonly token: string }[]): Prisma.Sql {
  return Prisma.sql`c.id = ANY (ARRAY(SELECT id FROM callbacks WHERE id = ANY (${leases.map(({ id }) => id)}::uuid[])
    AND claim_token = ANY (${leases.map(({ token }) => token)}::uuid[]) ORDER BY id FOR UPDATE))`
}

/** The assignments that remove a claim or a lease from a row. */
export const WITHOUT_CLAIM = Prisma.sql`claimed_by = NULL, claim_token = NULL, agent_id = NULL, leased_at = NULL, lease_expires_at = NULL, delivered = NULL`

/** The column `unstored` of a callback whose lease ends: its earlier final outcomes, and `pending` for every object that is still wanted. */
export const KEPT = Prisma.sql`CASE
  WHEN unstored IS NOT NULL THEN (SELECT coalesce(jsonb_agg(o ORDER BY place), '[]') FROM jsonb_array_elements(unstored) WITH ORDINALITY AS open(o, place)
    WHERE o->>'outcome' <> 'pending' OR (o->>'id')::bigint <> ALL (coalesce(delivered, '{}')))
  WHEN cardinality(delivered) > 0 THEN (SELECT coalesce(jsonb_agg(jsonb_build_object('id', id::text, 'outcome', 'pending') ORDER BY place), '[]')
    FROM unnest(object_ids) WITH ORDINALITY AS wanted(id, place) WHERE id <> ALL (delivered)) END`

/** The column `returns` after a lease that its agent did not finish: how many in a row have brought nothing. One that somebody took away is none of them: its end is its start. */
export const RETURNS = Prisma.sql`CASE WHEN cardinality(delivered) > 0 THEN 0 WHEN wish IS NULL AND lease_expires_at > leased_at THEN least(returns + 1, 1000) ELSE returns END`

/** Leases in a row that may bring nothing before the callback has to wait. */
const FREE_RETURNS = 3
const MAX_WAIT_SECONDS = 300

/** The time that a callback waits after this number of leases in a row that brought nothing. @param returns SQL of their number */
export function waitAfter(returns: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`make_interval(secs => CASE WHEN ${returns} <= ${FREE_RETURNS}::int THEN 0
    ELSE least(${MAX_WAIT_SECONDS}::int, power(2, least(${returns} - ${FREE_RETURNS}::int - 1, 10))) END)`
}

/** The name of the agent that has the row, for its timeline. */
export const AGENT_NAME = Prisma.sql`(SELECT a.name FROM agents a WHERE a.id = agent_id)`

/** When the row was leased: epoch milliseconds. */
export const LEASED_AT_MS = Prisma.sql`floor(extract(epoch FROM leased_at) * 1000)::bigint`

/**
 * The assignments of an UPDATE of `callbacks` that ends leases without a verdict. The callback goes back to the inbox, or becomes what somebody
 * wished. What was delivered is kept, and the lease is not charged. The row has no alias.
 * @param event SQL of how the timeline calls it: `lapsed`, `recalled` or `taken_away`
 * @param returns SQL of the column `returns` after it
 */
export function endedLease(event: Prisma.Sql, returns: Prisma.Sql = RETURNS): Prisma.Sql {
  return Prisma.sql`state = ${STATE_BY_WISH}, unstored = ${KEPT}, attempts = attempts - 1, returns = ${returns},
    due_at = clock_timestamp() + ${waitAfter(returns)},
    finished_at = CASE wish WHEN 'cancel' THEN clock_timestamp() END,
    steered_at = CASE wish WHEN 'pause' THEN clock_timestamp() ELSE steered_at END,
    timeline = ${withEntry(Prisma.sql`jsonb_build_object('event', ${event}, 'agent', ${AGENT_NAME}, 'claimed_at', ${LEASED_AT_MS},
      'attempt', attempts - crashes, 'state', ${STATE_BY_WISH}, 'counts', jsonb_build_object('stored', coalesce(cardinality(delivered), 0)))`)},
    wish = NULL, ${WITHOUT_CLAIM}`
}
