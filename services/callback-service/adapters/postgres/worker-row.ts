import type pg from 'pg'

/**
 * The first key of our workers' advisory locks; the second key is the worker's number. The value is arbitrary, but nobody else may use it.
 */
export const ADVISORY_CLASS = 0x616e7377

/** The advisory locks of workers in this database. `l.objid` is the worker's number. */
const WORKER_LOCKS = `pg_locks l WHERE l.locktype = 'advisory' AND l.classid = ${ADVISORY_CLASS}::oid AND l.objsubid = 2 AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** A worker's row, and the server process that must hold its lock. */
export interface WorkerRow {
  readonly number: number
  readonly host: string
  readonly pid: number
  readonly leaseMs: number
  /** The process id of the server process at the other end of the connection. */
  readonly backend: number
  /** Whether the number is new to this process. A sequence that fell back gives numbers out again, so the row may be another worker's. */
  readonly isNew: boolean
}

/**
 * Writes the lease in one statement. The statement also proves that its connection still holds the lock, because a pooler may have sent it
 * to another server connection.
 * @returns false if the connection does not hold the lock; then nothing was written
 */
export async function renew(client: pg.Client, { number, host, pid, leaseMs, backend, isNew }: WorkerRow): Promise<boolean> {
  const { rowCount } = await client.query(
    `INSERT INTO workers (number, host, pid, lease_ms, lease_expires_at)
     SELECT $1::int, $2, $3::int, $4::int, clock_timestamp() + $4::int * interval '1 ms'
     WHERE pg_backend_pid() = $5::int AND EXISTS (SELECT FROM ${WORKER_LOCKS} AND l.pid = $5::int AND l.objid = $1::int::oid)
     ON CONFLICT (number) DO UPDATE SET host = excluded.host, pid = excluded.pid, lease_ms = excluded.lease_ms, lease_expires_at = excluded.lease_expires_at,
       started_at = CASE WHEN $6 THEN excluded.started_at ELSE workers.started_at END`,
    [number, host, pid, leaseMs, backend, isNew],
  )
  return rowCount === 1
}

/** Takes a worker number. @returns a number that no worker has had before, unless the sequence fell back */
export async function takeNumber(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ number: number }>(`SELECT nextval(pg_get_serial_sequence('workers', 'number'))::int AS number`)
  return (rows[0] as { number: number }).number
}

/** Tries to take the lock of a worker. @returns whether this connection holds it now */
export async function tryLock(client: pg.Client, number: number): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1, $2) AS locked', [ADVISORY_CLASS, number])
  return rows[0]?.locked ?? false
}

/** Ends the connection that holds the lock of this process. @returns false if another process holds the lock */
export async function endHolder(client: pg.Client, { number, host, pid }: Pick<WorkerRow, 'number' | 'host' | 'pid'>): Promise<boolean> {
  const { rowCount } = await client.query(
    `SELECT pg_terminate_backend(l.pid, 1000) FROM workers w, ${WORKER_LOCKS} AND l.objid = w.number::oid
       AND w.number = $1 AND w.host = $2 AND w.pid = $3`,
    [number, host, pid],
  )
  return rowCount !== 0
}

/**
 * Deletes the rows of workers that died long ago. It keeps the row of a worker that holds its lock, because every lease looks old after a
 * clock step.
 */
export async function clearAway(client: pg.Client): Promise<void> {
  await client.query(
    `DELETE FROM workers w WHERE w.lease_expires_at < now() - interval '1 hour'
       AND NOT EXISTS (SELECT FROM ${WORKER_LOCKS} AND l.objid = w.number::oid)`,
  )
}
