import { randomUUID } from 'node:crypto'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Signal } from '#foundation/lifecycle/signal.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { Database } from '../adapters/postgres/database.ts'
import type { DatabaseClock } from '../adapters/postgres/database-clock.ts'
import { writeAnswers } from '../adapters/postgres/ledger-answers.ts'
import { readLedgerKeys } from '../adapters/postgres/ledger-keys-reader.ts'
import { readLedger } from '../adapters/postgres/ledger-reader.ts'
import { mergeAnswers, pruneLedger } from '../adapters/postgres/ledger-retention.ts'
import { UNKNOWN_WORKSPACE } from '../api/gates/count-refusals.ts'
import type { LedgerReader } from '../api/ledger/get-ledger.ts'
import type { LedgerKeysReader } from '../api/ledger/list-ledger-keys.ts'
import type { Config } from '../config.ts'
import type { CallbackEvent } from '../domain/callback-event.ts'
import { AnswerCounts, KEPT_MS } from '../domain/ledger/answer-counts.ts'
import { DAY_MS } from '../domain/ledger/ledger.ts'
import { AnswerLedger } from '../workers/answer-ledger.ts'
import { ledgerPruner } from '../workers/ledger-pruner.ts'

/** Nothing is kept longer. Postgres has no time so far back as the largest setting. */
const MAX_RETENTION_DAYS = 36_500

/** Joins the parts of the ledger: what reads it, what counts answers that leave no row, and what keeps it small. */
export function ledger(needs: {
  readonly config: Config
  readonly work: Database
  readonly read: Database
  readonly clock: DatabaseClock
  readonly events: Signal<CallbackEvent>
  /** Runs a read of a whole list, if the workspace has not too many under way. */
  readonly listed: <T>(workspace: string, read: () => Promise<T>) => Promise<T>
  readonly logger: Logger
}): { readonly reader: LedgerReader & LedgerKeysReader; readonly parts: readonly Part[] } {
  const { config, work, read, clock, events, listed, logger } = needs
  const retentionMs = Math.min(config.ledger.retentionDays, MAX_RETENTION_DAYS) * DAY_MS
  const counts = new AnswerCounts(() => performance.now())
  events.on(happened => {
    if (happened.event !== 'answered' || happened.outcome === 'accepted' || happened.workspace === UNKNOWN_WORKSPACE) return
    counts.note(happened.workspace, happened.outcome, clock.nowMs())
  })
  const process = randomUUID()
  const pruned = { prisma: work.prisma, clock }
  // A process that has just not forgotten a minute may still write it.
  const mergeAfterSeconds = Math.max(config.callbacks.retentionSeconds, (2 * KEPT_MS) / 1000)
  return {
    reader: {
      read: (workspace, span) => listed(workspace, () => readLedger(read.prisma, workspace, span)),
      list: (span, page) => listed(span.workspace, () => readLedgerKeys(read.prisma, span, page)),
      nowMs: () => clock.nowMs(),
      retentionMs,
    },
    parts: [
      new AnswerLedger({ counts, write: totals => writeAnswers(work.prisma, process, totals), logger }),
      ledgerPruner({
        merge: limit => mergeAnswers(pruned, { afterSeconds: mergeAfterSeconds, limit }),
        prune: limit => pruneLedger(pruned, { retentionSeconds: retentionMs / 1000, limit }),
        logger,
      }),
    ],
  }
}
