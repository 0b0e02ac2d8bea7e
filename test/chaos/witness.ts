import type pg from 'pg'
import { ADVISORY_CLASS } from '../../services/callback-service/adapters/worker-session.ts'
import type { StoredCallback, Transition } from './history.ts'

/** A worker that has proved for so long, without a break, that it lives is none that somebody may take over. */
const PROVEN_FOR = "interval '5 seconds'"

/**
 * The database itself notes each change of a callback, with who made it: replicas are told apart by their `application_name`. Where a callback
 * is taken from a worker it notes whether that one lives: it has held its lock and its lease since long before the statement began. Of expired
 * objects it keeps when the fetch left that brought them.
 */
export const WITNESS = `
  ALTER TABLE workers ADD COLUMN leased_since timestamptz NOT NULL DEFAULT clock_timestamp();
  CREATE FUNCTION note_lease() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF OLD.lease_expires_at < clock_timestamp() THEN NEW.leased_since := clock_timestamp(); END IF;
    RETURN NEW;
  END $$;
  CREATE TRIGGER note_lease BEFORE UPDATE ON workers FOR EACH ROW EXECUTE FUNCTION note_lease();

  CREATE TABLE transitions (
    n bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), replica text NOT NULL DEFAULT current_setting('application_name'),
    callback_id uuid NOT NULL, old_state text NOT NULL, new_state text NOT NULL, old_worker int, new_worker int, is_worker_alive boolean NOT NULL
  );
  CREATE FUNCTION note_transition() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    is_worker_alive boolean := false;
  BEGIN
    IF OLD.state = 'running' AND NEW.state = 'pending' THEN
      is_worker_alive := EXISTS (
        SELECT FROM workers w
        JOIN pg_locks l ON l.locktype = 'advisory' AND l.classid = ${ADVISORY_CLASS}::oid AND l.objid = w.number::oid AND l.objsubid = 2
        JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE w.number = OLD.claimed_by AND w.lease_expires_at > clock_timestamp()
          AND greatest(w.leased_since, a.backend_start) < statement_timestamp() - ${PROVEN_FOR});
    END IF;
    INSERT INTO transitions (callback_id, old_state, new_state, old_worker, new_worker, is_worker_alive)
    VALUES (OLD.id, OLD.state, coalesce(NEW.state::text, 'deleted'), OLD.claimed_by, NEW.claimed_by, is_worker_alive);
    RETURN NULL;
  END $$;
  CREATE TRIGGER note_transition AFTER UPDATE OR DELETE ON callbacks FOR EACH ROW EXECUTE FUNCTION note_transition();

  CREATE TABLE expired_objects (id bigint PRIMARY KEY, fetched_at timestamptz NOT NULL);
  CREATE FUNCTION note_expired() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO expired_objects SELECT id, fetched_at FROM gone
    ON CONFLICT (id) DO UPDATE SET fetched_at = greatest(expired_objects.fetched_at, excluded.fetched_at);
    RETURN NULL;
  END $$;
  CREATE TRIGGER note_expired AFTER DELETE ON objects REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION note_expired()`

/** The URL with which a replica connects as itself. */
export function urlOfReplica(url: string, replica: string): string {
  const own = new URL(url)
  own.searchParams.set('application_name', replica)
  return own.href
}

export interface Witnessed {
  readonly rows: StoredCallback[]
  /** In the order in which they happened. */
  readonly transitions: Transition[]
  readonly fetchedAtMs: Map<number, number>
}

export async function readWitness(db: pg.Client): Promise<Witnessed> {
  const rows = await db.query(`
    SELECT id, idempotency_key AS key, state, object_ids::float8[] AS "objectIds", coalesce(unstored, '[]') AS unstored, ${ms('received_at')} AS "receivedAtMs"
    FROM callbacks`)
  const transitions = await db.query(`
    SELECT callback_id AS "callbackId", ${ms('at')} AS "atMs", replica, old_state AS "from", new_state AS "to", old_worker AS "oldWorker",
      new_worker AS "newWorker", is_worker_alive AS "isWorkerAlive"
    FROM transitions ORDER BY n`)
  const objects = await db.query<{ id: number; ms: number }>(`
    SELECT id::float8, max(${ms('fetched_at')}) AS ms
    FROM (SELECT id, fetched_at FROM objects UNION ALL SELECT id, fetched_at FROM expired_objects) o GROUP BY id`)
  return {
    rows: rows.rows,
    transitions: transitions.rows,
    fetchedAtMs: new Map(objects.rows.map(object => [object.id, object.ms])),
  }
}

function ms(column: string): string {
  return `extract(epoch FROM ${column})::float8 * 1000`
}
