import type { PrismaClient } from '#prisma'
import { ALIVE_MS } from '../../domain/agents/agent.ts'
import type { Sighting } from '../../domain/agents/sightings.ts'
import { inDatabase } from './database.ts'

/** An agent that some replica has seen. */
export interface Seen {
  readonly id: string
  readonly ago_ms: number
}

/**
 * Writes what this replica saw of agents, and reads who is alive, in one statement.
 * @param sightings in the order of the ids, so that replicas that write the same rows do not block each other
 * @throws {StorageUnavailableError} they may be written all the same
 */
export function noteSightings(prisma: PrismaClient, sightings: readonly Sighting[]): Promise<Seen[]> {
  const notes = sightings.map(({ id, agoMs, version, objects, callbacks, lapses }) => ({
    id,
    ago_ms: agoMs,
    version,
    objects,
    callbacks,
    lapses,
  }))
  return inDatabase(
    () => prisma.$queryRaw<Seen[]>`
      WITH notes AS MATERIALIZED (
        SELECT n.*, clock_timestamp() - make_interval(secs => n.ago_ms / 1000) AS seen_at FROM json_to_recordset(${JSON.stringify(notes)}::json)
          AS n(id uuid, ago_ms float8, version text, objects bigint, callbacks bigint, lapses bigint)
      ), locked AS MATERIALIZED (
        SELECT a.id AS locked_id FROM agents a WHERE a.id IN (SELECT id FROM notes) ORDER BY a.id FOR NO KEY UPDATE
      ), noted AS (
        UPDATE agents a SET
          last_seen_at = CASE WHEN n.ago_ms IS NULL THEN a.last_seen_at
            -- After a step of the clock, the last sighting may lie in the future.
            WHEN a.last_seen_at BETWEEN seen_at AND clock_timestamp() THEN a.last_seen_at ELSE seen_at END,
          version = coalesce(n.version, a.version),
          objects = a.objects + n.objects, callbacks = a.callbacks + n.callbacks, lapses = a.lapses + n.lapses
        FROM notes n JOIN locked ON locked_id = n.id WHERE a.id = n.id
      )
      SELECT id::text, (extract(epoch FROM clock_timestamp() - last_seen_at) * 1000)::float8 AS ago_ms FROM agents
      WHERE last_seen_at BETWEEN clock_timestamp() - make_interval(secs => ${ALIVE_MS / 1000}::float8) AND clock_timestamp()`,
  )
}
