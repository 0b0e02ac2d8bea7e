import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import type { Operation } from '../domain/steering/operation.ts'
import { LookSize } from '../domain/steering/operation-pace.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'

/** The steps of operations, as the runner needs them. */
export interface Steps<Due extends Operation & { readonly state: 'counting' | 'running' }> {
  /**
   * @param contested id of an operation that another replica has just now: any other goes first
   * @returns an operation whose next step may begin, and the time until the next step of any
   */
  due(contested: string | undefined): Promise<{ readonly operation: Due | undefined; readonly waitMs: number }>
  /** @returns undefined if another replica was faster */
  step(operation: Due, looks: number): Promise<{ readonly operation: Operation; readonly changed: number } | undefined>
}

export interface OperationRunnerOptions<Due extends Operation & { readonly state: 'counting' | 'running' }> {
  readonly steps: Steps<Due>
  /** Deletes operations that ended long ago. */
  readonly prune: () => Promise<unknown>
  /** Called after each step that changed callbacks. */
  readonly onChanged: (operation: Operation, changed: number) => void
  /** Whether the next step may begin. One that sends callbacks round again must not fill the inbox. */
  readonly hasRoom: (operation: Due) => boolean
  readonly logger: Logger
}

/** Another replica may have started an operation. */
const REST_MS = 1000
/** Another replica has the operation just now. */
const CONTEST_MS = 20
/** Unfinished callbacks are counted every few seconds. */
const FULL_MS = 100
const PRUNE_MS = 60_000

/**
 * Does the steps of operations, one after the other. All replicas run it and share the steps. While there is no operation it asks the database once a
 * second. `wake` makes it look at once.
 */
export function operationRunner<Due extends Operation & { readonly state: 'counting' | 'running' }>(
  options: OperationRunnerOptions<Due>,
): Loop {
  const { steps, prune, onChanged, hasRoom, logger } = options
  const looks = new LookSize()
  /** The operation of the last step, if another replica was faster or the step failed: others go first. */
  let contested: string | undefined
  let prunedAtMs = Number.NEGATIVE_INFINITY

  async function doStep(operation: Due): Promise<number> {
    const step = await steps.step(operation, looks.of(operation.state)).catch(error => {
      looks.failed()
      contested = operation.id
      throw error
    })
    contested = step ? undefined : operation.id
    if (!step) return CONTEST_MS
    looks.succeeded()
    const { id, workspace, state, matched, done, skipped } = step.operation
    if (step.changed > 0) onChanged(step.operation, step.changed)
    if (state === 'completed') logger.info({ operation: id, workspace, matched, done, skipped }, 'operation completed')
    return 0
  }

  return new Loop({
    name: 'run operations',
    logger,
    isReportedElsewhere: isStorageTrouble,
    pass: async () => {
      if (performance.now() - prunedAtMs >= PRUNE_MS) {
        await prune()
        prunedAtMs = performance.now()
      }
      const { operation, waitMs } = await steps.due(contested)
      if (operation && !hasRoom(operation)) {
        const isAlone = contested === operation.id
        contested = operation.id
        return isAlone ? FULL_MS : 0
      }
      if (operation) return doStep(operation)
      // The next step may be due already, but another replica is doing it.
      return Math.min(REST_MS, Math.max(CONTEST_MS, Math.ceil(waitMs)))
    },
  })
}
