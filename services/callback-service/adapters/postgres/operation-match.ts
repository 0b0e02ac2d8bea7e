import { Prisma } from '#prisma'
import type { Operation, OperationFilter } from '../../domain/steering/operation.ts'
import { isChangeable } from './steering-sql.ts'

/**
 * Which callbacks an operation changes. Counting and changing use the same condition. The row of `callbacks` has no alias.
 * @param horizon callbacks that were received at this time, or later, do not match
 */
export function matches({ workspace, change, filter }: Operation, horizon: string): Prisma.Sql {
  return Prisma.join(
    [
      Prisma.sql`workspace = ${workspace} AND (${isChangeable(change)}) AND received_at < ${horizon}::timestamptz`,
      // What finishes while the operation runs was not there to be retried when somebody asked.
      ...(change.kind === 'retry' ? [Prisma.sql`finished_at < ${horizon}::timestamptz`] : []),
      ...conditionsOf(filter),
    ],
    ' AND ',
  )
}

function conditionsOf({ state, reason, objectId, receivedAfter, receivedBefore }: OperationFilter): Prisma.Sql[] {
  return [
    ...(state === undefined ? [] : [Prisma.sql`state = ${state}::callback_state`]),
    ...(reason === undefined ? [] : [Prisma.sql`unstored @> ${JSON.stringify([{ reason }])}::jsonb`]),
    ...(objectId === undefined ? [] : [Prisma.sql`object_ids @> ARRAY[${objectId}::bigint]`]),
    ...(receivedAfter ? [Prisma.sql`received_at >= ${timestamp(receivedAfter)}`] : []),
    ...(receivedBefore ? [Prisma.sql`received_at < ${timestamp(receivedBefore)}`] : []),
  ]
}

/** As a number: Postgres has no year 0, and other words for those before it. */
function timestamp(date: Date): Prisma.Sql {
  return Prisma.sql`to_timestamp(${date.getTime()}::float8 / 1000)`
}
