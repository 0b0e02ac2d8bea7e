import { setTimeout as sleep } from 'node:timers/promises'
import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { TroubleLog } from '#foundation/telemetry/trouble-log.ts'
import type { PrismaClient } from '#prisma'
import type { KnownAgent } from '../../domain/agents/agent.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import type { KnownKey } from '../../domain/workspaces/caller.ts'
import { BUILT_IN_DEFAULT } from '../../domain/workspaces/default-workspace.ts'
import type { Workspace } from '../../domain/workspaces/workspace.ts'
import { type AccessState, readSnapshot, writeSnapshot } from '../access-snapshot.ts'
import { readAccess, readRevision } from './access-reader.ts'

export interface WorkspaceDirectoryOptions {
  readonly prisma: PrismaClient
  /** File that keeps the state on this machine, for a restart while the database is away. Undefined: there is none, and no spool. */
  readonly snapshotPath?: string | undefined
  readonly logger: Logger
}

const INTERVAL_MS = 500
/** Minimum time between the starts of two looks, so that many unknown keys cannot occupy the database. */
const MIN_LOOK_MS = 100
/** Time without a successful look after which the state counts as out of date. */
const STALE_MS = 2000
/** Longest time that a caller waits for a look, and that the start waits for the first one. */
const PATIENCE_MS = 1000

/**
 * All workspaces, keys and agents, in the memory of this process. It asks the database twice a second whether they have changed. While the
 * database is away, the last state stays. After a restart without the database, the state is that of the snapshot, which has no agents: without
 * the database there are no leases.
 */
export class WorkspaceDirectory implements Part {
  readonly name = 'workspace directory'
  readonly #options: WorkspaceDirectoryOptions
  readonly #loop: Loop
  readonly #changed = new Signal()
  readonly #snapshotTrouble: TroubleLog
  readonly #lookTrouble: TroubleLog
  #workspaces: ReadonlyMap<string, Workspace> = new Map()
  #all: readonly Workspace[] = []
  #keys: ReadonlyMap<string, KnownKey> = new Map()
  #agents: ReadonlyMap<string, KnownAgent> = new Map()
  #agentsOf: ReadonlyMap<string, readonly KnownAgent[]> = new Map()
  #state: AccessState | undefined
  #revision: string | undefined
  #isSaved = true
  #used = new Set<string>()
  #lookedAtMs = Number.NEGATIVE_INFINITY
  /** When the last successful look began, and why the last one failed. */
  #readAtMs = Number.NEGATIVE_INFINITY
  #failure = 'the database has not answered'
  /** The look under way, and the one after it. */
  #look: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(options: WorkspaceDirectoryOptions) {
    this.#options = options
    // With a spool, `default` accepts callbacks even if nothing can be read. Without one it waits, because it may have secrets of senders.
    if (options.snapshotPath !== undefined) this.#know([BUILT_IN_DEFAULT])
    this.#snapshotTrouble = new TroubleLog(options.logger, {
      began: 'the snapshot of the keys cannot be written',
      ended: 'the snapshot of the keys is written again',
    })
    this.#lookTrouble = new TroubleLog(options.logger, {
      began: 'the workspaces and keys are out of date',
      ended: 'the workspaces and keys are up to date again',
    })
    this.#loop = new Loop({
      name: 'watch workspaces',
      logger: options.logger,
      maxRetryMs: INTERVAL_MS,
      // `#lookTrouble` reports them, because the storage watch does not read these tables.
      isReportedElsewhere: error => error instanceof StorageUnavailableError,
      pass: async () => {
        try {
          await this.#shareLook().catch(error => this.#failed(error))
          this.#lookTrouble.end()
        } finally {
          // Another caller's look may have brought a change just before the database went away.
          await this.#save()
        }
        return INTERVAL_MS
      },
    })
  }

  /** Whether it has ever read the database or a snapshot. */
  get isLoaded(): boolean {
    return this.#state !== undefined
  }

  /** Whether it has ever read the database. Before that, it knows the snapshot, which may be old, or nothing but the built-in `default`. */
  get hasRead(): boolean {
    return this.#revision !== undefined
  }

  /** Why the state may be out of date, so that a revoked key may still work; undefined while it is not. */
  get problem(): string | undefined {
    return performance.now() - this.#readAtMs > STALE_MS ? `the workspaces and keys are out of date: ${this.#failure}` : undefined
  }

  /** All workspaces, archived ones included. */
  get all(): readonly Workspace[] {
    return this.#all
  }

  /** `default` is always found once the state is loaded, and before that if there is a snapshot. */
  find(name: string): Workspace | undefined {
    return this.#workspaces.get(name)
  }

  /** @param id of an agent, in lower case. Archived agents are found too */
  agent(id: string): KnownAgent | undefined {
    return this.#agents.get(id)
  }

  /** All agents of a workspace, archived ones included. */
  agentsOf(workspace: string): readonly KnownAgent[] {
    return this.#agentsOf.get(workspace) ?? []
  }

  /** The ids of the archived agents of all workspaces. */
  get archivedAgents(): readonly string[] {
    return [...this.#agents.values()].filter(({ isArchived }) => isArchived).map(({ id }) => id)
  }

  get hasAgents(): boolean {
    return this.#agents.size > 0
  }

  /** @param hash SHA-256 of the key */
  keyWithHash(hash: Buffer): KnownKey | undefined {
    return this.#keys.get(hash.toString('hex'))
  }

  /**
   * Looks at the database. The look begins after this call, so it sees every change made before. Calls share looks.
   * @throws {StorageUnavailableError} the database did not answer in time; the state is the last one known
   */
  async refresh(): Promise<void> {
    const late = sleep(PATIENCE_MS, undefined, { ref: false }).then(() => {
      throw new StorageUnavailableError('the database did not answer in time')
    })
    await Promise.race([this.#shareLook(), late])
  }

  /** @param listener called after each change of the state, also after the first load */
  onChange(listener: () => void): void {
    this.#changed.on(listener)
  }

  /** Notes that a key was used. `takeUsed` gives the notes away. */
  used(keyId: string): void {
    this.#used.add(keyId)
  }

  /** Returns the keys used since the last call. */
  takeUsed(): readonly string[] {
    const used = [...this.#used]
    this.#used = new Set()
    return used
  }

  /** Waits a moment for the database, so that the port opens with known keys. It never fails. */
  async start(): Promise<void> {
    await this.refresh().catch(error => this.#options.logger.debug({ err: error }, 'the workspaces are not loaded yet'))
    if (!this.isLoaded) await this.#restore()
    this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  #shareLook(): Promise<void> {
    this.#next ??= this.#lookAfter(this.#look)
    return this.#next
  }

  async #lookAfter(earlier: Promise<void> | undefined): Promise<void> {
    await earlier?.catch(() => undefined) // Its own callers learn of its failure.
    const restMs = this.#lookedAtMs + MIN_LOOK_MS - performance.now()
    if (restMs > 0) await sleep(restMs, undefined, { ref: false })
    this.#look = this.#next
    this.#next = undefined
    this.#lookedAtMs = performance.now()
    await this.#lookNow()
  }

  async #lookNow(): Promise<void> {
    const { prisma } = this.#options
    const beganMs = performance.now()
    if (this.#revision === undefined || (await readRevision(prisma)) !== this.#revision) {
      const { revision, agents, ...state } = await readAccess(prisma)
      this.#revision = revision
      this.#isSaved = false
      this.#agents = new Map(agents.map(agent => [agent.id, agent]))
      this.#agentsOf = Map.groupBy(agents, ({ workspace }) => workspace)
      this.#show(state)
    }
    this.#readAtMs = beganMs
  }

  #failed(error: unknown): never {
    if (error instanceof StorageUnavailableError) this.#failure = error.message
    if (this.problem !== undefined) this.#lookTrouble.tell(this.#failure)
    throw error
  }

  #show(state: AccessState): void {
    this.#state = state
    this.#know([BUILT_IN_DEFAULT, ...state.workspaces])
    this.#keys = new Map(state.keys.map(key => [key.hash.toString('hex'), key]))
    this.#changed.emit()
  }

  #know(workspaces: readonly Workspace[]): void {
    this.#workspaces = new Map(workspaces.map(workspace => [workspace.name, workspace]))
    this.#all = [...this.#workspaces.values()]
  }

  async #save(): Promise<void> {
    const { snapshotPath } = this.#options
    if (this.#isSaved || snapshotPath === undefined || !this.#state) return
    this.#isSaved = true
    try {
      await writeSnapshot(snapshotPath, this.#state)
      this.#snapshotTrouble.end()
    } catch (error) {
      this.#isSaved = false
      this.#snapshotTrouble.tell(error instanceof Error ? error.message : String(error))
    }
  }

  async #restore(): Promise<void> {
    const { snapshotPath, logger } = this.#options
    if (snapshotPath === undefined) return
    try {
      const state = await readSnapshot(snapshotPath)
      if (this.isLoaded) return
      this.#show(state)
      logger.warn(
        { workspaces: state.workspaces.length, keys: state.keys.length },
        'the database is away: the keys are those of the snapshot',
      )
    } catch (error) {
      logger.warn({ reason: error instanceof Error ? error.message : String(error) }, 'the snapshot of the keys cannot be used')
    }
  }
}
