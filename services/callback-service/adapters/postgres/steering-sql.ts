import { Prisma } from '#prisma'
import { CHANGEABLE, type Change } from '../../domain/steering/change.ts'

/** Entries of a timeline that stay for good: how it began. */
const FIRST_ENTRIES = 10
const MAX_ENTRIES = 50

/** The condition under which a callback can be changed so. The row of `callbacks` has no alias. */
export function isChangeable({ kind }: Change): Prisma.Sql {
  const states = Prisma.sql`state = ANY (${[...CHANGEABLE[kind]]}::callback_state[])`
  if (kind === 'pause') return Prisma.sql`${states} AND wish IS NULL`
  if (kind === 'resume') return Prisma.sql`(state = 'paused' OR state = 'running' AND wish = 'pause')`
  return states
}

/**
 * The assignments of an UPDATE of `callbacks` that makes a change, with its entry in the timeline.
 * @param by who asked for it: `api`, or the id of an operation
 */
export function assignments(change: Change, by: string): Prisma.Sql {
  return Prisma.sql`${Prisma.join(columnsOf(change))}, steered_at = clock_timestamp(), timeline = ${withEntry(entryOf(change, by))}`
}

/** The column `timeline` with one more entry. @param entry SQL of a JSONB object without its time */
export function withEntry(entry: Prisma.Sql): Prisma.Sql {
  const at = Prisma.sql`jsonb_build_object('at', floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)`
  return Prisma.sql`CASE WHEN jsonb_array_length(timeline) >= ${MAX_ENTRIES} THEN timeline - ${FIRST_ENTRIES}::int ELSE coalesce(timeline, '[]') END
    || jsonb_build_array(${at} || ${entry})`
}

function columnsOf(change: Change): Prisma.Sql[] {
  switch (change.kind) {
    case 'pause':
      return [
        Prisma.sql`state = CASE state WHEN 'pending' THEN 'paused'::callback_state ELSE state END`,
        Prisma.sql`wish = CASE state WHEN 'running' THEN 'pause' END`,
      ]
    case 'resume':
      return [Prisma.sql`state = CASE state WHEN 'paused' THEN 'pending'::callback_state ELSE state END`, Prisma.sql`wish = NULL`]
    case 'prioritise':
      return [priorityIs(change.priority)]
    case 'cancel':
      return [Prisma.sql`state = 'cancelled'`, Prisma.sql`finished_at = clock_timestamp()`, Prisma.sql`wish = NULL`]
    case 'retry':
      return [
        Prisma.sql`state = 'pending', due_at = clock_timestamp(), retried_at = clock_timestamp(), finished_at = NULL`,
        Prisma.sql`attempts = 0, crashes = 0, wish = NULL`,
        Prisma.sql`unstored = ${change.objects === 'all' ? Prisma.sql`NULL` : OPEN_AGAIN}`,
        ...(change.priority === undefined ? [] : [priorityIs(change.priority)]),
      ]
  }
}

/** Every object that is not stored is to be fetched again. */
const OPEN_AGAIN = Prisma.sql`(SELECT CASE WHEN unstored IS NOT NULL THEN coalesce(jsonb_agg(jsonb_build_object('id', o->'id', 'outcome', 'pending')), '[]') END
  FROM jsonb_array_elements(unstored) o)`

function priorityIs(priority: number): Prisma.Sql {
  return Prisma.sql`priority = ${priority}::smallint`
}

function entryOf({ kind, ...change }: Change, by: string): Prisma.Sql {
  return Prisma.sql`${JSON.stringify({ event: EVENTS[kind], by, ...change })}::jsonb`
}

const EVENTS = { pause: 'paused', resume: 'resumed', prioritise: 'prioritised', cancel: 'cancelled', retry: 'retried' } as const
