import { Prisma } from '#prisma'
import { CHANGEABLE, type Change } from '../../domain/steering/change.ts'

/** Entries of a timeline that stay for good: how it began. */
const FIRST_ENTRIES = 10
const MAX_ENTRIES = 50

/** The time of an entry of a timeline: epoch milliseconds. */
export const ENTRY_TIME = Prisma.sql`jsonb_build_object('at', floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)`

/**
 * The condition under which a callback can be changed so. The row of `callbacks` has no alias. A wish that a replica of the release before
 * ignored is still there after the attempt.
 */
export function isChangeable({ kind }: Change): Prisma.Sql {
  if (kind === 'resume') return Prisma.sql`(state = 'paused' OR state IN ('pending', 'running') AND wish = 'pause')`
  const states = Prisma.sql`state = ANY (${[...CHANGEABLE[kind]]}::callback_state[])`
  return kind === 'pause' ? Prisma.sql`${states} AND wish IS DISTINCT FROM 'pause'` : states
}

/**
 * The assignments of an UPDATE of `callbacks` that makes a change, with its entry in the timeline.
 * @param by who asked for it: `api`, or the id of an operation
 */
export function assignments(change: Change, by: string): Prisma.Sql {
  return Prisma.sql`${Prisma.join(columnsOf(change))}, ${steered(entryOf(change, by))}`
}

/** The assignments that every change from outside needs. @param entry SQL of a JSONB object without its time */
export function steered(entry: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`steered_at = clock_timestamp(), timeline = ${withEntry(entry)}`
}

/** The column `timeline` with one more entry. @param entry SQL of a JSONB object without its time */
export function withEntry(entry: Prisma.Sql): Prisma.Sql {
  return appended(Prisma.sql`jsonb_build_array(${ENTRY_TIME} || ${entry})`)
}

/** The column `timeline` with more at its end, bounded. @param entries SQL of a JSONB array with one complete entry */
export function appended(entries: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`CASE WHEN jsonb_array_length(timeline) >= ${MAX_ENTRIES} THEN timeline - ${FIRST_ENTRIES}::int ELSE coalesce(timeline, '[]') END
    || ${entries}`
}

/** The assignments of a change, without its entry in the timeline. A callback that is so already stays as it is. */
export function columnsOf(change: Change): Prisma.Sql[] {
  switch (change.kind) {
    case 'pause':
      return [
        Prisma.sql`state = CASE state WHEN 'pending' THEN 'paused'::callback_state ELSE state END`,
        Prisma.sql`wish = CASE state WHEN 'running' THEN 'pause' END`,
      ]
    case 'resume':
      return [
        Prisma.sql`state = CASE state WHEN 'paused' THEN 'pending'::callback_state ELSE state END`,
        // It keeps its place. If the clock has gone back since, its time lies in the future.
        Prisma.sql`due_at = CASE state WHEN 'paused' THEN least(due_at, clock_timestamp()) ELSE due_at END`,
        Prisma.sql`wish = nullif(wish, 'pause')`,
      ]
    case 'prioritise':
      return [priorityIs(change.priority)]
    case 'cancel':
      return [Prisma.sql`state = 'cancelled'`, Prisma.sql`finished_at = clock_timestamp()`, Prisma.sql`wish = NULL`]
    case 'label':
      return [Prisma.sql`agent_labels = ${labelsOf(change)}`]
    case 'retry':
      return [
        Prisma.sql`state = 'pending', due_at = clock_timestamp(), retried_at = clock_timestamp(), finished_at = NULL`,
        Prisma.sql`attempts = 0, crashes = 0, returns = 0, wish = NULL`,
        Prisma.sql`unstored = ${change.objects === 'all' ? Prisma.sql`NULL` : OPEN_AGAIN}`,
        ...(change.priority === undefined ? [] : [priorityIs(change.priority)]),
      ]
  }
}

/** The labels of a change as SQL: an array, or NULL. */
export function labelsOf({ agentLabels }: { readonly agentLabels: readonly string[] | null }): Prisma.Sql {
  return agentLabels === null ? Prisma.sql`NULL::text[]` : Prisma.sql`${[...agentLabels]}::text[]`
}

/** Every object that is not stored is to be fetched again. */
const OPEN_AGAIN = Prisma.sql`(SELECT CASE WHEN unstored IS NOT NULL THEN coalesce(jsonb_agg(jsonb_build_object('id', o->'id', 'outcome', 'pending')), '[]') END
  FROM jsonb_array_elements(unstored) o)`

function priorityIs(priority: number): Prisma.Sql {
  return Prisma.sql`priority = ${priority}::smallint`
}

/** What the timeline says of a change, without its time. @param by who asked for it */
export function entryOf(change: Change, by: string): Prisma.Sql {
  return Prisma.sql`${JSON.stringify({ event: EVENTS[change.kind], by, ...detailsOf(change) })}::jsonb`
}

/** The members of a change, as the timeline names them. */
export function detailsOf({ kind, ...details }: Change): object {
  if (!('agentLabels' in details)) return details
  return { agent_labels: details.agentLabels }
}

const EVENTS = {
  pause: 'paused',
  resume: 'resumed',
  prioritise: 'prioritised',
  cancel: 'cancelled',
  label: 'labelled',
  retry: 'retried',
} as const
