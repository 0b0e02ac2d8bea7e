import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'

/**
 * Migrates in the background, and again until it succeeds: the database may come later than we do. Stopping ends a migration under way; nothing
 * of it stays.
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
