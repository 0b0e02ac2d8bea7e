import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'

/**
 * Migrates the database in the background, and tries again until that succeeds, because the database may start later than the service. A
 * stop ends the migration under way and leaves nothing of it behind.
 */
export function databaseMigration(migrate: (signal: AbortSignal) => Promise<unknown>, logger: Logger): Part {
  return new Loop({
    name: 'migrate database',
    logger,
    pass: async signal => {
      await migrate(signal)
      return Number.POSITIVE_INFINITY
    },
  })
}
