import { Prisma } from '#prisma'
import type { DatabaseClock } from './database-clock.ts'

/**
 * The time before which something is older than its retention. If the clock went forward, rows look older than they are, so the steps count as
 * retention too.
 */
export function retentionEnd(clock: DatabaseClock, retentionSeconds: number): Prisma.Sql {
  return Prisma.sql`(least(now(), to_timestamp(${clock.latestNowMs()}::float8 / 1000)) - make_interval(secs => ${retentionSeconds}::float8)
    - (SELECT make_interval(secs => coalesce(sum(step_ms), 0) / 1000) FROM clock_steps
       WHERE step_ms > 0 AND noticed_at > now() - make_interval(secs => ${retentionSeconds}::float8)))`
}
