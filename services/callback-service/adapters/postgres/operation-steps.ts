import { Prisma, type PrismaClient } from '#prisma'
import type { Operation } from '../../domain/steering/operation.ts'
import { changesOfStep } from '../../domain/steering/operation-pace.ts'
import { inDatabase } from './database.ts'
import { matches } from './operation-match.ts'
import { OPERATION, type OperationRow, operationOf } from './operation-row.ts'
import { assignments } from './steering-sql.ts'

/** An operation whose next step may begin. */
export interface DueOperation extends Operation {
  readonly state: 'counting' | 'running'
  /** The id of the last callback that it looked at. */
  readonly lookedAt: string | null
  /**
   * It looks only at callbacks received before this time: when it was created. If the clock went back since, it is the earliest time that a step
   * saw. Else callbacks that came after it would look older than it is. With microseconds, so as text.
   */
  readonly horizon: string
}

/** What a step left behind. */
export interface Step {
  readonly operation: Operation
  /** Callbacks that this step changed. */
  readonly changed: number
}

/** No callback has this id, because it is neither of version 5 nor of version 7. */
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'
/** Pause before another look at a callback that somebody else has locked. */
const LOCKED_SECONDS = 0.1
/** An operation whose steps came late makes up for this much, so that it keeps its rate. */
const CATCH_UP_SECONDS = 1

/**
 * The steps of operations. An operation looks at callbacks in the order of their ids, first to count and then to change them. One step is one statement:
 * it locks the operation, looks at the next callbacks, changes those that match, and writes how far it came. So a process that dies
 * leaves an operation between two steps, and two replicas never do the same one.
 *
 * A step never waits for a lock on a callback, so it cannot be in a deadlock. It goes no further than the first callback that somebody else has
 * locked: the next step looks at it again.
 */
export class OperationSteps {
  readonly #prisma: PrismaClient

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma
  }

  /**
   * Finds an operation whose next step may begin.
   * @param contested id of an operation that another replica has just now: any other that is due goes first
   * @returns the operation, if there is one, and the time until the next step of any; Infinity if there is no unfinished operation
   */
  async due(contested?: string): Promise<{ readonly operation: DueOperation | undefined; readonly waitMs: number }> {
    // It locks nothing, because a lock would be one more write to the disk for each step.
    const [found] = await inDatabase(
      () => this.#prisma.$queryRaw<{ row: OperationRow | null; wait_ms: number | null }[]>`
        SELECT (SELECT ${OPERATION} || jsonb_build_object('horizon', least(horizon, now())) FROM operations o WHERE finished_at IS NULL AND ${IS_DUE}
            ORDER BY id IS NOT DISTINCT FROM ${contested ?? null}::uuid, next_at LIMIT 1) AS row,
          (SELECT extract(epoch FROM min(next_at) - now())::float8 * 1000 FROM operations WHERE finished_at IS NULL) AS wait_ms`,
    )
    const waitMs = found?.wait_ms ?? Number.POSITIVE_INFINITY
    if (!found?.row) return { operation: undefined, waitMs }
    const { row } = found
    const state = row.state as DueOperation['state']
    return { operation: { ...operationOf(row), state, lookedAt: row.position, horizon: row.horizon }, waitMs }
  }

  /**
   * Does the next step of an operation.
   * @param looks number of callbacks to look at
   * @returns undefined if another replica was faster, or the operation has ended
   * @throws {StorageUnavailableError} the step was made, or it was not: `due` says how far the operation is
   */
  async step(operation: DueOperation, looks: number): Promise<Step | undefined> {
    const [row] = await inDatabase(
      () => this.#prisma.$queryRaw<{ row: OperationRow; changed: bigint }[]>`
        ${operation.state === 'counting' ? count(operation, looks) : change(operation, looks)}`,
    )
    return row && { operation: operationOf(row.row), changed: Number(row.changed) }
  }
}

/**
 * Whether the next step of an operation may begin. One that is further in the future than a pause can be was planned before the clock went
 * back.
 */
const IS_DUE = Prisma.sql`(next_at <= now() OR next_at > now() + make_interval(secs => 2 + coalesce(1 / rate_per_second, 0)))`

function count(operation: DueOperation, looks: number): Prisma.Sql {
  const end = endOf(operation, looks)
  return Prisma.sql`
    WITH held AS MATERIALIZED (${hold(operation)}), found AS MATERIALIZED (
      SELECT count(*) AS matched FROM (${windowOf(operation, looks)}) AS callbacks WHERE EXISTS (SELECT FROM held) AND ${matches(operation, operation.horizon)}
    ), step AS MATERIALIZED (
      SELECT o.matched + found.matched AS matched, ${end} AS position, ${end} IS NULL AS has_counted,
        ${end} IS NULL AND (o.dry_run OR o.matched + found.matched = 0) AS has_ended
      FROM operations o JOIN held USING (id), found
    )
    UPDATE operations o SET matched = step.matched, horizon = ${operation.horizon}::timestamptz, position = step.position, next_at = now(),
      state = CASE WHEN step.has_ended THEN 'completed' WHEN step.has_counted THEN 'running' ELSE 'counting' END,
      finished_at = CASE WHEN step.has_ended THEN clock_timestamp() END
    FROM step WHERE o.id IN (SELECT id FROM held)
    RETURNING ${OPERATION} AS row, 0::bigint AS changed`
}

function change(operation: DueOperation, looks: number): Prisma.Sql {
  const { id, change: wanted, ratePerSecond } = operation
  const size = changesOfStep(ratePerSecond)
  return Prisma.sql`
    WITH held AS MATERIALIZED (${hold(operation)}), matching AS MATERIALIZED (
      SELECT id FROM (${windowOf(operation, looks)}) AS callbacks WHERE EXISTS (SELECT FROM held) AND ${matches(operation, operation.horizon)} ORDER BY id LIMIT ${size}
    ), locked AS MATERIALIZED (
      SELECT id FROM callbacks WHERE id = ANY (ARRAY(SELECT id FROM matching)) AND ${matches(operation, operation.horizon)} FOR UPDATE SKIP LOCKED
    ), missed AS MATERIALIZED (
      SELECT m.id FROM matching m WHERE NOT EXISTS (SELECT FROM locked l WHERE l.id = m.id) ORDER BY m.id LIMIT 1
    ), reached AS MATERIALIZED (
      SELECT id FROM matching m WHERE NOT EXISTS (SELECT FROM missed WHERE missed.id <= m.id)
    ), changed AS (
      UPDATE callbacks SET ${assignments(wanted, id)} WHERE id = ANY (ARRAY(SELECT id FROM reached)) RETURNING 1 AS one
    ), step AS MATERIALIZED (
      SELECT (SELECT count(*) FROM changed) AS changed, EXISTS (SELECT FROM missed) AS is_missing,
        CASE WHEN EXISTS (SELECT FROM missed) OR (SELECT count(*) FROM matching) = ${size}
          THEN coalesce((SELECT id FROM reached ORDER BY id DESC LIMIT 1), ${operation.lookedAt ?? BEFORE_ALL}::uuid)
          ELSE ${endOf(operation, looks)} END AS position
    )
    UPDATE operations o SET done = o.done + step.changed, horizon = ${operation.horizon}::timestamptz, position = step.position,
      next_at = CASE WHEN step.changed = 0 AND step.is_missing THEN now() + make_interval(secs => ${LOCKED_SECONDS}::float8)
        -- One that may go on at once has its next turn after all others that are due.
        WHEN step.changed = 0 OR o.rate_per_second IS NULL THEN now()
        ELSE CASE WHEN o.next_at BETWEEN now() - make_interval(secs => ${CATCH_UP_SECONDS}::float8) AND now() THEN o.next_at ELSE now() END
          + make_interval(secs => step.changed / o.rate_per_second) END,
      state = CASE WHEN step.position IS NULL THEN 'completed' ELSE 'running' END,
      finished_at = CASE WHEN step.position IS NULL THEN clock_timestamp() END,
      -- Callbacks may have begun to match after they were counted.
      matched = greatest(o.matched, o.done + step.changed),
      skipped = CASE WHEN step.position IS NULL THEN greatest(0, o.matched - o.done - step.changed) ELSE 0 END
    FROM step WHERE o.id IN (SELECT id FROM held)
    RETURNING ${OPERATION} AS row, step.changed`
}

/** Locks an operation, if it is still as it was read. */
function hold({ id, state, lookedAt }: DueOperation): Prisma.Sql {
  return Prisma.sql`SELECT id FROM operations
      WHERE id = ${id}::uuid AND state = ${state} AND position IS NOT DISTINCT FROM ${lookedAt}::uuid AND ${IS_DUE} FOR UPDATE SKIP LOCKED`
}

/** The next callbacks, of all workspaces: there is no index that has those of one. */
function windowOf({ lookedAt }: DueOperation, looks: number): Prisma.Sql {
  return Prisma.sql`SELECT * FROM callbacks WHERE id > ${lookedAt ?? BEFORE_ALL}::uuid ORDER BY id LIMIT ${looks}`
}

/** The id of the last of the next callbacks. NULL: there are fewer, so nothing comes after them. */
function endOf({ lookedAt }: DueOperation, looks: number): Prisma.Sql {
  return Prisma.sql`(SELECT id FROM callbacks WHERE id > ${lookedAt ?? BEFORE_ALL}::uuid ORDER BY id OFFSET ${looks - 1} LIMIT 1)`
}
