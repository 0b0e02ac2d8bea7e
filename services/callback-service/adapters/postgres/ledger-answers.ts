import type { PrismaClient } from '#prisma'
import type { AnswerTotal } from '../../domain/ledger/answer-counts.ts'
import { inDatabase, WAIT_FOR_DISK } from './database.ts'

/**
 * Writes what a process has counted. It writes totals, not differences, and a total never falls: so it may write twice, and a statement that hung
 * and arrives late changes nothing.
 * @param process the id of the process, which no other process has
 * @throws {StorageUnavailableError} the outcome is unknown; try again
 */
export async function writeAnswers(prisma: PrismaClient, process: string, totals: readonly AnswerTotal[]): Promise<void> {
  const rows = JSON.stringify(totals.map(({ workspace, minuteMs, outcome, count }) => ({ workspace, at: minuteMs, outcome, count })))
  await inDatabase(
    () => prisma.$executeRaw`
      INSERT INTO ledger_answers AS l (workspace, at, outcome, process, count)
      SELECT workspace, to_timestamp(at / 1000), outcome, ${process}::uuid, count
      FROM json_to_recordset(${rows}::json) AS r(workspace text, at float8, outcome text, count bigint), (SELECT ${WAIT_FOR_DISK} OFFSET 0) t
      ON CONFLICT (workspace, at, outcome, process) DO UPDATE SET count = greatest(l.count, excluded.count)`,
  )
}
