import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { Database } from '../adapters/postgres/database.ts'
import type { DatabaseClock } from '../adapters/postgres/database-clock.ts'
import { findLastHours, findLastReceipts, readTraffic } from '../adapters/postgres/traffic-reader.ts'
import type { LimitUsages } from '../api/gates/limit-usages.ts'
import type { ReadTraffic } from '../api/traffic/get-traffic.ts'
import type { Config } from '../config.ts'
import type { CallbackCounts } from '../domain/accepting/workspace-forecast.ts'
import { isSilent } from '../domain/traffic/silence.ts'
import { MINUTE_MS } from '../domain/traffic/traffic-minutes.ts'
import type { WorkspaceTraffic } from '../domain/traffic/workspace-traffic.ts'
import type { Workspace } from '../domain/workspaces/workspace.ts'
import { type KnownTraffic, TrafficPoller } from '../workers/traffic-poller.ts'

/** The turn that the reader takes among the workspaces whose lists are read. No workspace has this name. */
const READER = ''

/** Joins what tells the traffic of the workspaces: the reader, the counts of unfinished callbacks, and the limits. */
export function traffic(needs: {
  readonly config: Config
  readonly read: Database
  readonly clock: DatabaseClock
  /** Runs a read of a whole list, if the workspace has not too many under way. */
  readonly listed: <T>(workspace: string, read: () => Promise<T>) => Promise<T>
  readonly directory: { readonly all: readonly Workspace[]; find(name: string): Workspace | undefined }
  readonly usages: LimitUsages
  readonly replicas: () => number
  readonly logger: Logger
}): {
  readonly readTraffic: ReadTraffic
  /** Takes in the unfinished callbacks that a look at the database counted, by workspace. */
  readonly counted: (counts: ReadonlyMap<string, CallbackCounts>) => void
  readonly poller: Part
} {
  const { config, read, clock, listed, directory, usages, replicas, logger } = needs
  const retentionMs = config.callbacks.retentionSeconds * 1000
  const inTurn = <T>(statement: () => Promise<T>): Promise<T> => listed(READER, statement)
  let counts: ReadonlyMap<string, CallbackCounts> | undefined
  const poller = new TrafficPoller({
    source: {
      read: span => inTurn(() => readTraffic(read.prisma, span)),
      findLast: search => inTurn(() => findLastReceipts(read.prisma, search)),
      lastHours: workspaces => inTurn(() => findLastHours(read.prisma, workspaces)),
    },
    clock,
    workspaces: () => directory.all.map(({ name }) => name),
    retentionMs: () => retentionMs,
    logger,
  })

  return {
    async readTraffic(name) {
      const known = await poller.look()
      const workspaces = name === undefined ? directory.all : [directory.find(name)].filter(workspace => workspace !== undefined)
      return {
        fromMs: known.minutes.fromMs,
        toMs: known.toMs,
        ageMs: known.ageMs,
        // Older callbacks may be deleted already.
        completeFromMs: Math.max(known.minutes.completeFromMs, Math.ceil((known.toMs - retentionMs) / MINUTE_MS) * MINUTE_MS),
        workspaces: workspaces.map(workspace => trafficOf(workspace, known)),
      }
    },
    counted(found) {
      counts = found
    },
    poller,
  }

  function trafficOf(workspace: Workspace, { minutes, receipts, toMs }: KnownTraffic): WorkspaceTraffic {
    const { name, archivedAt } = workspace
    const lastReceipt = receipts.of(name)
    const { atMs, usualGapMs } = lastReceipt
    const unfinished = counts ? (counts.get(name)?.unfinished ?? 0) + (counts.get(name)?.paused ?? 0) : null
    return {
      workspace,
      ...minutes.seriesOf(name),
      lastReceipt,
      // An archived workspace accepts nothing, so its silence is no news.
      isSilent: archivedAt === null && atMs !== null && isSilent(toMs - atMs, usualGapMs),
      unfinished,
      paused: counts ? (counts.get(name)?.paused ?? 0) : null,
      limits: usages.usesOf(workspace, { nowMs: performance.now(), replicas: replicas(), unfinished }),
    }
  }
}
