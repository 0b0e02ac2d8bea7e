import { isDeepStrictEqual } from 'node:util'
import type { PageRequest } from '#foundation/http/paging.ts'
import { Prisma, type PrismaClient } from '#prisma'
import { IdempotencyKeyReusedError } from '../../domain/accepting/accept-errors.ts'
import {
  MAX_OPERATIONS,
  type NewOperation,
  type Operation,
  type OperationPosition,
  TooManyOperationsError,
} from '../../domain/steering/operation.ts'
import { operationId } from '../operation-id.ts'
import { inDatabase, LEAVE_A_MARK, WAIT_FOR_DISK } from './database.ts'
import { type ListedOperation, OPERATION, type OperationRow, operationOf, storedFilter } from './operation-row.ts'

/** The operations in the database. A change is on the disk when its promise resolves. Each method throws StorageUnavailableError. */
export class OperationStore {
  readonly #work: PrismaClient
  readonly #read: PrismaClient
  readonly #defaultRate: number | null

  /** @param options.defaultRate callbacks a second of an operation that names no rate; null: no limit */
  constructor(options: { readonly work: PrismaClient; readonly read: PrismaClient; readonly defaultRate: number | null }) {
    this.#work = options.work
    this.#read = options.read
    this.#defaultRate = options.defaultRate
  }

  /**
   * Creates an operation. Safe to repeat with an idempotency key, as long as the operation is kept. Requests at the same moment may pass the
   * limit by a few.
   * @throws {TooManyOperationsError} the workspace has too many unfinished operations
   * @throws {IdempotencyKeyReusedError} the key came with another operation before
   */
  async create(
    workspace: string,
    asked: NewOperation,
    idempotencyKey?: string,
  ): Promise<{ readonly operation: Operation; readonly isReplay: boolean }> {
    const id = operationId(workspace, idempotencyKey)
    const { change, filter, isDryRun, ratePerSecond = this.#defaultRate } = asked
    const [made] = await inDatabase(
      () => this.#work.$queryRaw<{ row: OperationRow }[]>`
        INSERT INTO operations AS o (id, workspace, kind, change, filter, dry_run, rate_per_second)
        SELECT ${id}::uuid, ${workspace}::text, ${change.kind}::text, ${JSON.stringify(change)}::jsonb, ${JSON.stringify(storedFilter(filter))}::jsonb, ${isDryRun}::boolean,
          ${ratePerSecond}::float8
        WHERE (SELECT count(*) FROM operations WHERE workspace = ${workspace} AND finished_at IS NULL) < ${MAX_OPERATIONS}
        ON CONFLICT (id) DO NOTHING RETURNING ${OPERATION} AS row, ${WAIT_FOR_DISK}`,
    )
    if (made) return { operation: operationOf(made.row), isReplay: false }
    const [earlier] = await inDatabase(
      () => this.#work.$queryRaw<{ row: OperationRow }[]>`
        SELECT ${OPERATION} AS row, ${WAIT_FOR_DISK} FROM operations o WHERE id = ${id}::uuid AND ${LEAVE_A_MARK}`,
    )
    if (!earlier) throw new TooManyOperationsError(`The workspace has ${MAX_OPERATIONS} unfinished operations.`)
    const operation = operationOf(earlier.row)
    if (!isSame(operation, asked)) throw new IdempotencyKeyReusedError('This idempotency key came with another operation before.')
    return { operation, isReplay: true }
  }

  /** @returns undefined if the workspace has no such operation, or no longer */
  async find(workspace: string, id: string): Promise<Operation | undefined> {
    const [found] = await inDatabase(
      () => this.#read.$queryRaw<{ row: OperationRow }[]>`
        SELECT ${OPERATION} AS row FROM operations o WHERE id = ${id}::uuid AND workspace = ${workspace}`,
    )
    return found && operationOf(found.row)
  }

  /** Reads a page, newest first, in that order whichever the direction. */
  async list(workspace: string, { limit, position }: PageRequest<OperationPosition>): Promise<ListedOperation[]> {
    const isBackward = position?.direction === 'before'
    const order = Prisma.raw(isBackward ? 'ASC' : 'DESC')
    const from = position ? Prisma.sql`AND (created_at, id) ${Prisma.raw(isBackward ? '>' : '<')} ${placeOf(position.key)}` : Prisma.empty
    const rows = await inDatabase(
      () => this.#read.$queryRaw<{ row: OperationRow }[]>`
        SELECT ${OPERATION} AS row FROM operations o WHERE workspace = ${workspace} ${from}
        ORDER BY created_at ${order}, id ${order} LIMIT ${limit}`,
    )
    const found = rows.map(({ row }) => operationOf(row))
    return isBackward ? found.reverse() : found
  }

  /**
   * Ends an operation, unless it has ended. A step under way is part of it; afterwards it changes nothing more.
   * @returns false if the workspace has no such operation
   */
  async abort(workspace: string, id: string): Promise<boolean> {
    // It writes the row in any case, so that it waits until an earlier end is on the disk.
    const aborted = await inDatabase(
      () => this.#work.$queryRaw<{ id: string }[]>`
        UPDATE operations SET state = CASE WHEN finished_at IS NULL THEN 'aborted' ELSE state END,
          finished_at = coalesce(finished_at, clock_timestamp())
        WHERE id = ${id}::uuid AND workspace = ${workspace} RETURNING id, ${WAIT_FOR_DISK}`,
    )
    return aborted.length > 0
  }

  /** Deletes operations that ended longer ago than the retention. */
  async prune(retentionSeconds: number): Promise<number> {
    return inDatabase(
      () => this.#work.$executeRaw`
        DELETE FROM operations WHERE id IN (SELECT id FROM operations
          WHERE finished_at < clock_timestamp() - make_interval(secs => ${retentionSeconds}::float8) LIMIT 1000 FOR UPDATE SKIP LOCKED)`,
    )
  }
}

function isSame(operation: Operation, { change, filter, isDryRun, ratePerSecond }: NewOperation): boolean {
  const sameRate = ratePerSecond === undefined || ratePerSecond === operation.ratePerSecond
  return sameRate && isDryRun === operation.isDryRun && isDeepStrictEqual([change, filter], [operation.change, operation.filter])
}

function placeOf({ createdUs, id }: OperationPosition): Prisma.Sql {
  return Prisma.sql`('epoch'::timestamptz + ${createdUs}::float8 * interval '1 microsecond', ${id}::uuid)`
}
