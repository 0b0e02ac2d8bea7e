import { uptime } from 'node:os'
import type pg from 'pg'
import { ADVISORY_CLASS } from '../../services/callback-service/adapters/postgres/worker-session.ts'
import type { StoredCallback, Stores, SuspectStore, Transition } from './history.ts'

export const LEASE_MS = 3000
/** A worker that was silent for longer than this may soon count as dead. After that, its proof of life starts again. */
const GAP_MS = 2500
/** A worker whose last sign is younger than this is not silent. */
const RECENT_MS = 2000
/** Nobody may take over from a worker that has proved for this time, without a break, that it is alive. */
const PROVEN_MS = 5000

/** Columns that change when somebody takes a finished callback away from the agent that a retry would go to. */
const STEERED = `'{assigned_to,steered_at,timeline}'::text[]`

/**
 * Returns the SQL of the witness: triggers with which the database records each change of a callback's state, and the replica that made it.
 * The `application_name` identifies a replica. If a callback is taken from a worker, the witness records whether that worker is alive.
 * An alive worker has held its lock in one session for a while, and has renewed its lease there. Changes of other columns of an unclaimed
 * row, such as `due_at`, are ignored, and so are assignments of finished callbacks. For objects the witness records when an answer was stored,
 * whether it is true, and when it claims to be asked for. The truth is that of the client service: objects with even ids are online.
 *
 * Its times come from /proc/uptime, which steps of Postgres' clock do not affect. On systems without /proc/uptime, no clock steps.
 */
export function witness(): string {
  const realMs =
    process.platform === 'linux'
      ? `${Date.now() - uptime() * 1000} + split_part(pg_read_file('/proc/uptime'), ' ', 1)::float8 * 1000`
      : 'extract(epoch FROM clock_timestamp())::float8 * 1000'
  return `
  CREATE FUNCTION real_ms() RETURNS float8 LANGUAGE sql VOLATILE AS $$ SELECT ${realMs} $$;

  -- Times in which all replicas are stopped. Nobody can prove to be alive then, and nobody needs to.
  CREATE TABLE standstills (from_ms float8 NOT NULL, to_ms float8 NOT NULL);
  CREATE FUNCTION lived_ms(from_ms float8, to_ms float8) RETURNS float8 LANGUAGE sql VOLATILE AS $$
    SELECT $2 - $1 - coalesce((SELECT sum(greatest(0, least($2, s.to_ms) - greatest($1, s.from_ms))) FROM standstills s), 0)
  $$;

  CREATE TABLE lives (worker int PRIMARY KEY, session int NOT NULL, renewed_at float8 NOT NULL, proven_since float8 NOT NULL);
  CREATE VIEW worker_locks AS
    SELECT objid AS worker, pid AS session FROM pg_locks WHERE locktype = 'advisory' AND classid = ${ADVISORY_CLASS}::oid AND objsubid = 2 AND granted;
  CREATE FUNCTION note_renewal() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    -- Only the session that holds the lock proves that the worker is alive.
    INSERT INTO lives SELECT NEW.number, l.session, t.now, t.now FROM worker_locks l, (SELECT real_ms() AS now) t
    WHERE l.worker = NEW.number::oid AND l.session = pg_backend_pid()
    ON CONFLICT (worker) DO UPDATE SET session = excluded.session, renewed_at = excluded.renewed_at,
      proven_since = CASE WHEN lives.session = excluded.session AND lived_ms(lives.renewed_at, excluded.renewed_at) < ${GAP_MS}
        THEN lives.proven_since ELSE excluded.proven_since END;
    RETURN NULL;
  END $$;
  CREATE TRIGGER note_renewal AFTER INSERT OR UPDATE ON workers FOR EACH ROW EXECUTE FUNCTION note_renewal();

  CREATE TABLE transitions (
    n bigserial PRIMARY KEY, at float8 NOT NULL DEFAULT real_ms(), replica text NOT NULL DEFAULT current_setting('application_name'),
    callback_id uuid NOT NULL, old_state text NOT NULL, new_state text NOT NULL, old_worker int, new_worker int, was_leased boolean NOT NULL, is_worker_alive boolean NOT NULL
  );
  CREATE FUNCTION note_transition() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    is_worker_alive boolean := false;
  BEGIN
    IF TG_OP = 'UPDATE' AND OLD.state IN ('pending', 'running') AND NEW.state = OLD.state AND NEW.claimed_by IS NOT DISTINCT FROM OLD.claimed_by
      AND NEW.claim_token IS NOT DISTINCT FROM OLD.claim_token THEN RETURN NULL; END IF;
    IF TG_OP = 'UPDATE' AND NEW.finished_at = OLD.finished_at AND to_jsonb(NEW) - ${STEERED} = to_jsonb(OLD) - ${STEERED} THEN RETURN NULL; END IF;
    IF OLD.state = 'running' AND NEW.state = 'pending' THEN
      is_worker_alive := EXISTS (
        SELECT FROM lives w JOIN worker_locks l ON l.worker = w.worker::oid AND l.session = w.session
        WHERE w.worker = OLD.claimed_by AND lived_ms(w.renewed_at, real_ms()) < ${RECENT_MS} AND w.proven_since < real_ms() - ${PROVEN_MS});
    END IF;
    INSERT INTO transitions (callback_id, old_state, new_state, old_worker, new_worker, was_leased, is_worker_alive)
    VALUES (OLD.id, OLD.state, coalesce(NEW.state::text, 'deleted'), OLD.claimed_by, NEW.claimed_by, OLD.state = 'running' AND OLD.agent_id IS NOT NULL, is_worker_alive);
    RETURN NULL;
  END $$;
  CREATE TRIGGER note_transition AFTER UPDATE OR DELETE ON callbacks FOR EACH ROW EXECUTE FUNCTION note_transition();

  -- An INSERT (also one that ends as an update) stores an answer. A plain UPDATE, such as of the expiry, does not.
  CREATE TABLE stores (place text NOT NULL, at float8 NOT NULL, callback_id uuid NOT NULL, is_true boolean NOT NULL, asked_at float8 NOT NULL);
  CREATE FUNCTION begin_storing() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM set_config('witness.is_storing', 'yes', true);
    RETURN NULL;
  END $$;
  CREATE FUNCTION note_stores() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF current_setting('witness.is_storing', true) = 'yes' THEN
      INSERT INTO stores SELECT s.workspace || ' ' || s.id, t.now, s.callback_id, s.online = (s.id % 2 = 0),
        t.now - extract(epoch FROM clock_timestamp() - s.fetched_at)::float8 * 1000
      FROM stored s, (SELECT real_ms() AS now) t;
    END IF;
    RETURN NULL;
  END $$;
  CREATE TRIGGER begin_storing BEFORE INSERT ON objects FOR EACH STATEMENT EXECUTE FUNCTION begin_storing();
  CREATE TRIGGER note_inserted AFTER INSERT ON objects REFERENCING NEW TABLE AS stored FOR EACH STATEMENT EXECUTE FUNCTION note_stores();
  CREATE TRIGGER note_updated AFTER UPDATE ON objects REFERENCING NEW TABLE AS stored FOR EACH STATEMENT EXECUTE FUNCTION note_stores()`
}

/** Adds the name of a replica to the URL with which it connects. */
export function urlOfReplica(url: string, replica: string): string {
  const own = new URL(url)
  own.searchParams.set('application_name', replica)
  return own.href
}

/** Tells the witness that all replicas will be stopped for that time. */
export async function announceStandstill(db: pg.Client, forMs: number): Promise<void> {
  await db.query('INSERT INTO standstills SELECT now, now + $1 FROM (SELECT real_ms() AS now) t', [forMs])
}

export interface Witnessed {
  readonly rows: StoredCallback[]
  /** All transitions in the order in which they happened. */
  readonly transitions: Transition[]
  readonly stores: Stores
  readonly suspects: SuspectStore[]
}

export async function readWitness(db: pg.Client): Promise<Witnessed> {
  const rows = await db.query(`
    SELECT id, workspace, idempotency_key AS key, state, floor(extract(epoch FROM received_at) * 1000)::float8 AS "receivedAtMs", attempts, object_ids::float8[] AS "objectIds", coalesce(unstored, '[]') AS unstored FROM callbacks`)
  const transitions = await db.query(`
    SELECT callback_id AS "callbackId", at AS "atMs", replica, old_state AS "from", new_state AS "to", old_worker AS "oldWorker",
      new_worker AS "newWorker", was_leased AS "wasLeased", is_worker_alive AS "isWorkerAlive"
    FROM transitions ORDER BY n`)
  await db.query('CREATE INDEX IF NOT EXISTS transitions_callback ON transitions (callback_id)')
  const suspects = await db.query<SuspectStore>(SUSPECTS)
  const stores = await db.query<{ place: string; ms: number[] }>('SELECT place, array_agg(at) AS ms FROM stores GROUP BY place')
  return {
    rows: rows.rows,
    transitions: transitions.rows,
    stores: new Map(stores.rows.map(({ place, ms }) => [place, ms])),
    suspects: suspects.rows,
  }
}

/**
 * What was stored untrue, or as if it was asked for after its lease began. The latter is known of callbacks that only agents have had. The clock
 * of the witness has a resolution of 10 ms.
 */
const SUSPECTS = `
  WITH leased AS (
    SELECT callback_id FROM transitions WHERE new_state = 'running' GROUP BY callback_id HAVING bool_and(new_worker IS NULL)
  )
  SELECT callback_id AS "callbackId", place, 'untrue' AS why FROM stores WHERE NOT is_true
  UNION ALL
  SELECT s.callback_id, s.place, 'fresh' FROM stores s JOIN leased USING (callback_id)
  WHERE s.asked_at > 100 + (SELECT max(t.at) FROM transitions t WHERE t.callback_id = s.callback_id AND t.new_state = 'running' AND t.at <= s.at)`
