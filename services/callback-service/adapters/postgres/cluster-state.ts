import type { PrismaClient } from '#prisma'
import { SUSPECT_CRASHES } from '../../domain/processing/suspicion.ts'
import type { WorkerSign } from '../../domain/processing/worker-liveness.ts'
import { inDatabase } from './database.ts'
import type { DatabaseClock } from './database-clock.ts'
import { ADVISORY_CLASS } from './worker-session.ts'

/** What a worker must know about the other workers and about the shared database. */
export interface ClusterState {
  /** One for each worker that has a row or a claim. */
  readonly workers: readonly WorkerSign[]
  /** The smallest number of crashes of a suspect that is due; undefined if no suspect is due. */
  readonly suspectCrashes: number | undefined
  /** Ids of the callbacks of this worker that somebody wants back, to cancel them. */
  readonly recalled: readonly string[]
  readonly clockSteps: KnownSteps
}

/** The steps of the clock that replicas have made up for. */
export interface KnownSteps {
  /** Number of the last one; 0 before the first one. */
  readonly number: number
  /** Their sum. */
  readonly byMs: number
  /** Every transaction before this one has ended. */
  readonly oldestTransaction: string
}

interface Row {
  readonly workers: WorkerSign[] | null
  readonly suspect_crashes: number | null
  readonly recalled: string[] | null
  readonly clock_step: number
  readonly step_ms: number
  readonly oldest_transaction: string
  readonly now_ms: number
}

interface ClusterQuestion {
  readonly clock: DatabaseClock
  readonly maxCrashes: number
  /** Workspaces whose suspects do not count, because they may not be claimed now. */
  readonly excluded?: readonly string[]
  /** Number of the worker of this process; undefined if it has none now. */
  readonly workerNumber?: number | undefined
}

/**
 * Reads the cluster state in one statement, and lets `clock` observe the database's time. Each replica calls it a few times a second.
 * @throws {StorageUnavailableError} the database cannot be read now
 */
export async function readClusterState(
  prisma: PrismaClient,
  { clock, maxCrashes, excluded = [], workerNumber }: ClusterQuestion,
): Promise<ClusterState> {
  const sentMs = performance.now()
  // `xmin` is the transaction that wrote the row. It changes with each renewal, whatever the clock says.
  const [row] = await inDatabase(
    () => prisma.$queryRaw<Row[]>`
      SELECT (
          SELECT json_agg(json_build_object('number', n.number, 'renewal', w.xmin::text, 'leaseMs', w.lease_ms, 'isLocked', l.pid IS NOT NULL))
          FROM (SELECT number FROM workers UNION SELECT claimed_by FROM callbacks WHERE state = 'running' AND claimed_by IS NOT NULL) n
          LEFT JOIN workers w ON w.number = n.number
          LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.classid = ${ADVISORY_CLASS}::int::oid AND l.objid = n.number::oid AND l.objsubid = 2
            AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        ) AS workers,
        (SELECT min(crashes)::int FROM callbacks WHERE state = 'pending' AND crashes >= 3 AND crashes BETWEEN ${SUSPECT_CRASHES} AND ${maxCrashes - 1}
          AND workspace <> ALL (${[...excluded]}::text[]) AND due_at <= now()) AS suspect_crashes,
        (SELECT array_agg(id::text) FROM callbacks WHERE state = 'running' AND claimed_by = ${workerNumber ?? null}::int AND wish = 'cancel') AS recalled,
        s.*, pg_snapshot_xmin(pg_current_snapshot())::xid::text AS oldest_transaction,
        extract(epoch FROM clock_timestamp())::float8 * 1000 AS now_ms
      FROM (SELECT coalesce(max(number), 0)::int AS clock_step, coalesce(sum(step_ms), 0)::float8 AS step_ms FROM clock_steps) s`,
  )
  const { workers, suspect_crashes, recalled, clock_step, step_ms, oldest_transaction, now_ms } = row as Row
  clock.observe(now_ms, sentMs)
  const clockSteps = { number: clock_step, byMs: step_ms, oldestTransaction: oldest_transaction }
  return { workers: workers ?? [], suspectCrashes: suspect_crashes ?? undefined, recalled: recalled ?? [], clockSteps }
}
