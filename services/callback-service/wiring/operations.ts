import type { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { Database } from '../adapters/postgres/database.ts'
import { OperationSteps } from '../adapters/postgres/operation-steps.ts'
import { OperationStore } from '../adapters/postgres/operation-store.ts'
import type { Operations } from '../api/operations/operation-routes.ts'
import type { Config } from '../config.ts'
import { operationRunner } from '../workers/operation-runner.ts'
import type { Workspaces } from './fetching.ts'
import type { CallbackIntake } from './intake.ts'

/** Operations, as the routes need them, and the loop that does their steps. */
export interface OperationRooms {
  readonly operations: Operations
  readonly runner: Loop
}

/** How many callbacks are unfinished. */
type Backlogs = Pick<CallbackIntake['backlogs'], 'waitSeconds' | 'accepted'> & {
  readonly all: Pick<CallbackIntake['backlogs']['all'], 'waitSeconds'>
}

export function operationRooms(options: {
  readonly config: Config
  readonly work: Database
  readonly read: Database
  /** Runs a read, unless too many are under way. */
  readonly limited: <T>(work: () => Promise<T>) => Promise<T>
  /** Called when callbacks of a workspace may be due. */
  readonly onDue: (workspace: string) => void
  readonly backlogs: Backlogs
  readonly workspaces: Pick<Workspaces, 'find'>
  readonly logger: Logger
}): OperationRooms {
  const { config, work, read, limited, onDue, backlogs, workspaces, logger } = options
  const { ratePerSecond, retentionSeconds } = config.operations
  const store = new OperationStore({ work: work.prisma, read: read.prisma, defaultRate: ratePerSecond })
  // New callbacks come before those that are retried.
  const maxBacklog = config.inbox.maxBacklog / 2
  const hasRoom = (name: string): boolean => {
    const most = Math.min(maxBacklog, workspaces.find(name)?.limits.unfinishedCallbacks ?? maxBacklog)
    return backlogs.all.waitSeconds(maxBacklog) === 0 && backlogs.waitSeconds(name, most) === 0
  }
  const runner = operationRunner({
    steps: new OperationSteps(work.prisma),
    prune: () => store.prune(retentionSeconds),
    hasRoom: ({ workspace, state, change: { kind } }) => state === 'counting' || kind !== 'retry' || hasRoom(workspace),
    onChanged: ({ workspace, change: { kind } }, changed) => {
      if (kind === 'retry') backlogs.accepted(workspace, changed)
      if (kind === 'retry' || kind === 'resume') onDue(workspace)
    },
    logger,
  })
  return {
    operations: {
      async create(workspace, asked, idempotencyKey) {
        const created = await store.create(workspace, asked, idempotencyKey)
        const { id, change, filter, isDryRun } = created.operation
        if (!created.isReplay)
          logger.info({ operation: id, workspace, change, filter: described(filter), dry_run: isDryRun }, 'operation started')
        runner.wake()
        return created
      },
      find: (workspace, id) => limited(() => store.find(workspace, id)),
      list: (workspace, page) => limited(() => store.list(workspace, page)),
      async abort(workspace, id) {
        const exists = await store.abort(workspace, id)
        if (exists) logger.info({ operation: id, workspace }, 'operation aborted, unless it had ended')
        return exists
      },
    },
    runner,
  }
}

/** JSON has no bigints. */
function described({ objectId, ...filter }: { readonly objectId: bigint | undefined }): object {
  return { ...filter, object_id: objectId?.toString() }
}
