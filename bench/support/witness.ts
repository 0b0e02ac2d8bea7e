import type pg from 'pg'

/** The deletions so far, all read at one moment. */
export interface Deletions {
  /** Number of objects that are not deleted. */
  readonly left: number
  readonly deleted: number
  /** Number of objects that were deleted before they expired. */
  readonly early: number
  /** Median lateness; null if none was deleted. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/**
 * Makes the database itself record deletions, so that the benchmark need not trust the service. The table `deletions` gets each one with
 * the time when it was due and the time when its statement ended. The trigger runs once per statement and the table is unlogged, so that
 * the witness is cheap.
 */
export async function witnessDeletions(db: pg.Client): Promise<void> {
  await db.query(`
    CREATE UNLOGGED TABLE deletions (due timestamptz, at timestamptz);
    CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN INSERT INTO deletions SELECT expires_at, clock_timestamp() FROM gone; RETURN NULL; END';
    CREATE TRIGGER witness AFTER DELETE ON objects REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION witness()`)
}

export async function readDeletions(db: pg.Client): Promise<Deletions> {
  const { rows } = await db.query(`
    SELECT (SELECT count(*)::int FROM objects) AS left, count(*)::int AS deleted, count(*) FILTER (WHERE at < due)::int AS early,
      percentile_disc(0.5) WITHIN GROUP (ORDER BY ms) AS "p50Ms", percentile_disc(0.99) WITHIN GROUP (ORDER BY ms) AS "p99Ms",
      max(ms) AS "maxMs"
    FROM (SELECT due, at, extract(epoch FROM at - due)::float8 * 1000 AS ms FROM deletions) AS each`)
  return rows[0] as Deletions
}
