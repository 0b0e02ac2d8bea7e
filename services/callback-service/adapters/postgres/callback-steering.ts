import { Prisma, type PrismaClient } from '#prisma'
import type { CallbackState } from '../../domain/callback.ts'
import type { Wish } from '../../domain/steering/cancellation.ts'
import type { Change } from '../../domain/steering/change.ts'
import type { CallbackChanges, CallbackKey } from '../../domain/steering/steered.ts'
import { inDatabase, WAIT_FOR_DISK } from './database.ts'
import { assignments, columnsOf, detailsOf, entryOf, isChangeable, labelsOf, steered } from './steering-sql.ts'

/** Who asked for the change, as the timeline says it. */
const BY = 'api'

/** How a statement found a callback. */
interface Before {
  readonly state: CallbackState
  readonly wish: string | null
  readonly is_changed: boolean
}

/**
 * Changes single callbacks from outside. Each call is one statement: it locks the row, and then changes it only if the state allows that. So a
 * claim, a settlement or another change happens wholly before it or wholly after it.
 */
export class CallbackSteering {
  readonly #prisma: PrismaClient

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma
  }

  /**
   * Changes a callback that is not finished, and writes nothing if it is so already.
   * @returns the state before; undefined if there is no such callback
   * @throws {StorageUnavailableError} the outcome is unknown; it is safe to repeat, as the other calls are
   */
  async change(key: CallbackKey, { activated, priority, agentLabels }: CallbackChanges): Promise<CallbackState | undefined> {
    const changes: Change[] = []
    if (activated !== undefined) changes.push({ kind: activated ? 'resume' : 'pause' })
    if (priority !== undefined) changes.push({ kind: 'prioritise', priority })
    if (agentLabels !== undefined) changes.push({ kind: 'label', agentLabels })
    const [first] = changes
    if (!first) return this.state(key)
    const entry =
      changes.length === 1
        ? entryOf(first, BY)
        : Prisma.sql`${JSON.stringify(Object.assign({ event: 'changed', by: BY, activated }, ...changes.map(detailsOf)))}::jsonb`
    const before = await this.#steer(key, {
      set: Prisma.sql`${Prisma.join(changes.flatMap(columnsOf))}, ${steered(entry)}`,
      where: Prisma.join(changes.map(isNew), ' OR '),
    })
    return before?.state
  }

  /** Cancels a callback that is pending or paused. @returns the state before; undefined if there is no such callback */
  cancel(key: CallbackKey): Promise<CallbackState | undefined> {
    return this.#make(key, { kind: 'cancel' })
  }

  /** Sends a finished callback one more round. @returns the state before; undefined if there is no such callback */
  retry(key: CallbackKey, objects: 'all' | 'missing'): Promise<CallbackState | undefined> {
    return this.#make(key, { kind: 'retry', objects })
  }

  /** Wishes that a running callback is cancelled when it leaves its worker. @returns undefined if it does not run */
  async wishCancelled(key: CallbackKey): Promise<Wish | undefined> {
    const before = await this.#steer(key, {
      set: Prisma.sql`wish = 'cancel', ${steered(entryNamed('cancel_requested'))}`,
      where: Prisma.sql`state = 'running' AND wish IS DISTINCT FROM 'cancel'`,
    })
    if (before?.state !== 'running') return undefined
    return {
      withdraw: async () => {
        if (!before.is_changed) return
        await this.#steer(key, {
          set: Prisma.sql`wish = ${before.wish}, ${steered(entryNamed('cancel_withdrawn'))}`,
          where: Prisma.sql`state = 'running' AND wish = 'cancel'`,
        })
      },
    }
  }

  /** Whether a callback runs, and somebody wishes that it is cancelled when it leaves its worker. */
  async isWishedCancelled({ workspace, id }: CallbackKey): Promise<boolean> {
    const where = { id, workspace, state: 'running', wish: 'cancel' } as const
    return (await inDatabase(() => this.#prisma.callback.count({ where }))) > 0
  }

  async state({ workspace, id }: CallbackKey): Promise<CallbackState | undefined> {
    const found = await inDatabase(() => this.#prisma.callback.findUnique({ where: { id, workspace }, select: { state: true } }))
    return found?.state
  }

  async #make(key: CallbackKey, change: Change): Promise<CallbackState | undefined> {
    return (await this.#steer(key, { set: assignments(change, BY), where: isChangeable(change) }))?.state
  }

  async #steer({ workspace, id }: CallbackKey, { set, where }: { set: Prisma.Sql; where: Prisma.Sql }): Promise<Before | undefined> {
    const [before] = await inDatabase(
      () => this.#prisma.$queryRaw<Before[]>`
        WITH durable AS MATERIALIZED (SELECT ${WAIT_FOR_DISK}),
        found AS MATERIALIZED (
          -- Here the condition sees the row as it is now. In the UPDATE it would see the row as it was before the lock, and miss a change.
          SELECT id AS found_id, state AS found_state, wish AS found_wish, (${where}) AS is_changeable FROM callbacks WHERE id = ${id}::uuid AND workspace = ${workspace} FOR UPDATE
        ), changed AS (
          UPDATE callbacks SET ${set} FROM found WHERE id = found_id AND is_changeable RETURNING id
        )
        SELECT found_state AS state, found_wish AS wish, EXISTS (SELECT FROM changed) AS is_changed FROM found, durable`,
    )
    return before
  }
}

/** The condition that a change is possible, and the callback is not so already. */
function isNew(change: Change): Prisma.Sql {
  if (change.kind === 'prioritise') return Prisma.sql`(${isChangeable(change)} AND priority <> ${change.priority}::int)`
  if (change.kind === 'label') return Prisma.sql`(${isChangeable(change)} AND agent_labels IS DISTINCT FROM ${labelsOf(change)})`
  return Prisma.sql`(${isChangeable(change)})`
}

function entryNamed(event: string): Prisma.Sql {
  return Prisma.sql`${JSON.stringify({ event, by: BY })}::jsonb`
}
