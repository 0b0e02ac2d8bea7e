import type { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { pruneCallbacks } from '../adapters/postgres/callback-retention.ts'
import type { Database } from '../adapters/postgres/database.ts'
import type { DatabaseClock } from '../adapters/postgres/database-clock.ts'
import { countCallbacks, countLiveObjects } from '../adapters/postgres/row-counts.ts'
import { findUnsuited } from '../adapters/postgres/unsuited-callbacks.ts'
import type { Config } from '../config.ts'
import { retentionFor } from '../domain/accepting/signature-window.ts'
import type { CallbackCounts } from '../domain/accepting/workspace-forecast.ts'
import type { Unsuited } from '../domain/activity/agent-shortage.ts'
import type { Workspace } from '../domain/workspaces/workspace.ts'
import type { CallbackMetrics } from '../metrics.ts'
import { callbackPruner } from '../workers/callback-pruner.ts'
import { objectExpirer } from '../workers/object-expirer.ts'
import { rowCount } from '../workers/row-count.ts'
import type { Fetching } from './fetching.ts'
import type { CallbackIntake } from './intake.ts'
import type { Recording } from './recording.ts'

/** Such callbacks wait until somebody does something, so nobody needs to know at once. */
const UNSUITED_INTERVAL_MS = 10_000

/** Joins what deletes rows when their time is over, and what counts them. */
export function housekeeping(options: {
  readonly config: Config
  readonly metrics: CallbackMetrics
  readonly database: Database
  readonly clock: DatabaseClock
  readonly store: Fetching['store']
  readonly inbox: Pick<CallbackIntake, 'windowMs' | 'counted'>
  readonly workspaces: { readonly isLoaded: boolean; readonly all: readonly Workspace[]; readonly hasAgents: boolean }
  readonly recording: Recording
  /** Takes in the callbacks that a look at the database counted, by workspace. */
  readonly onCallbacks: (counts: ReadonlyMap<string, CallbackCounts>) => void
  /** Takes in the callbacks that no living agent suits. */
  readonly onUnsuited: (unsuited: readonly Unsuited[]) => void
  readonly onObjects: (live: number) => void
  readonly logger: Logger
}): readonly Loop[] {
  const { config, metrics, database, clock, store, inbox, workspaces, recording, onCallbacks, onUnsuited, onObjects, logger } = options
  const expirer = objectExpirer({
    store,
    onExpired: latenessMs => {
      metrics.expired.inc(latenessMs.length)
      recording.tally.expired(latenessMs)
      for (const ms of latenessMs) metrics.lateness.observe(Math.max(0, ms) / 1000)
    },
    logger,
  })
  const pruner = callbackPruner({
    prune: limit => {
      const retentionSeconds = retentionFor(workspaces.isLoaded ? workspaces.all : undefined, config.callbacks.retentionSeconds)
      return pruneCallbacks({ prisma: database.prisma, clock }, { retentionSeconds, limit })
    },
    logger,
  })
  const callbackCount = rowCount({
    name: 'count callbacks',
    count: async () => {
      const { windowMs } = inbox
      const { counts, tookMs } = await countCallbacks(database.prisma, windowMs)
      inbox.counted(counts, windowMs)
      metrics.countBacklog(new Map([...counts].map(([workspace, { unfinished, paused }]) => [workspace, unfinished + paused])))
      onCallbacks(counts)
      return tookMs
    },
    logger,
  })
  const objectCount = rowCount({
    name: 'count objects',
    count: async () => {
      const { counts: live, tookMs } = await countLiveObjects({ prisma: database.prisma, keepOffline: config.objects.keepOffline })
      metrics.live.set(live)
      onObjects(live)
      return tookMs
    },
    logger,
  })
  const unsuitedCount = rowCount({
    name: 'find callbacks that no agent suits',
    intervalMs: UNSUITED_INTERVAL_MS,
    count: async () => {
      const mayBeAny = workspaces.hasAgents && workspaces.all.some(({ fetcher }) => fetcher === 'agents')
      const { unsuited, tookMs } = mayBeAny ? await findUnsuited(database.prisma) : { unsuited: [], tookMs: 0 }
      metrics.unsuited.set(unsuited.reduce((sum, { waiting }) => sum + waiting, 0))
      onUnsuited(unsuited)
      return tookMs
    },
    logger,
  })
  return [expirer, pruner, callbackCount, objectCount, unsuitedCount]
}
