import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { Prisma, PrismaClient } from '#prisma'
import { RightMissingError, StorageUnavailableError, ValueRefusedError } from '../../domain/storage-errors.ts'
import { PostgresConnection, sessionWith } from './connection.ts'
import { type Durability, requireDurability } from './durability.ts'

export interface DatabaseOptions {
  readonly name: string
  readonly url: string
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  readonly queryTimeoutMs: number
  /** What the service promises. A connection to a database that contradicts it is not used. Absent: the pool takes every database, for tools. */
  readonly durability?: Durability
  readonly logger: Logger
}

/**
 * One pool of connections to Postgres, through Prisma. Every wait is bounded: for a connection, for an answer, on the server's side, and
 * for a peer that vanished. If an answer does not come in time, the pool gives the connection up and closes all idle ones. A connection
 * that was given up keeps its place in the pool until the server has released it, so that statements that hang there count.
 */
export class Database implements Part {
  readonly name: string
  readonly prisma: PrismaClient
  readonly queryTimeoutMs: number
  readonly durability: Durability | undefined

  constructor(options: DatabaseOptions) {
    const { name, url, maxConnections, connectTimeoutMs, queryTimeoutMs, durability, logger } = options
    this.name = name
    this.durability = durability
    this.queryTimeoutMs = queryTimeoutMs
    const pool = new pg.Pool({
      ...sessionWith(url, {
        // synchronous_commit is not set here, because `on` would weaken `remote_apply`. Statements that must wait for the disk use
        // WAIT_FOR_DISK.
        statement_timeout: queryTimeoutMs,
        idle_in_transaction_session_timeout: 10_000,
        tcp_keepalives_idle: 5,
        tcp_keepalives_interval: 2,
        tcp_keepalives_count: 3,
      }),
      // The pool passes its own options to the constructor.
      Client: PostgresConnection as unknown as new () => PostgresConnection,
      // The pool waits for it before it uses the connection.
      ...(durability && { onConnect: (client: pg.ClientBase) => requireDurability(client, durability) }),
      max: maxConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: queryTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 5000,
      application_name: `answerback ${name}`,
    })
    pool.on('release', (error, client) => {
      if (error?.message !== QUERY_TIMED_OUT) return
      keepPlace(pool, client)
      closeIdle(pool)
    })
    const onPoolError = (error: Error): void => logger.debug({ pool: name, err: error }, 'idle connection lost')
    this.prisma = new PrismaClient({ adapter: new PrismaPg(pool, { onPoolError, disposeExternalPool: true }), log: [] })
  }

  async stop(): Promise<void> {
    await this.prisma.$disconnect()
  }
}

/** The driver's message for a statement that was not answered in time. */
const QUERY_TIMED_OUT = 'Query read timeout'

/** Makes the pool smaller by one until the server has ended the backend of a connection that was given up. */
function keepPlace(pool: pg.Pool, client: pg.PoolClient): void {
  pool.options.max -= 1
  const connection = client as unknown as PostgresConnection
  connection.giveUp(() => {
    pool.options.max += 1
  })
}

/**
 * Closes the idle connections. If one connection is silent, all may be. The next statement then gets a new connection instead of waiting
 * for each of the old ones.
 */
function closeIdle(pool: pg.Pool): void {
  for (let left = pool.idleCount; left > 0; left -= 1) {
    pool.connect().then(
      client => client.release(true),
      () => undefined, // A connection that the pool cannot get needs no closing.
    )
  }
}

/**
 * A statement that selects this expression waits at its commit for the disk, and for the synchronous standby if there is one. The settings
 * of the session, the database or a pooler do not change that. `remote_apply` waits for even more, so it stays.
 */
export const WAIT_FOR_DISK = Prisma.sql`set_config('synchronous_commit',
  CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)`

/**
 * Makes a statement that changes no row wait too, because it writes a few bytes into the write-ahead log. The rows that it reads may be
 * visible before they are on the disk or the standby. Commits are written in order, so they are there when this one is.
 */
export const LEAVE_A_MARK = Prisma.sql`pg_logical_emit_message(true, 'answerback', ''::text) IS NOT NULL`

/**
 * Runs a statement and translates its errors.
 * @throws {StorageUnavailableError} trying again may help
 * @throws {ValueRefusedError} trying again cannot help
 * @throws the error itself if it is a bug of ours
 */
export async function inDatabase<T>(statement: () => PromiseLike<T>): Promise<T> {
  try {
    return await statement()
  } catch (error) {
    throw translate(error)
  }
}

/**
 * SQLSTATE classes 22 (data exception) and 23 (integrity) mean that a value is wrong. All other errors, from a refused connection to a full
 * disk, mean that the database is in trouble. https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
function translate(error: unknown): unknown {
  if (BUGS.some(bug => error instanceof bug)) return error
  const { sqlState, message } = describe(error)
  if (message === QUERY_TIMED_OUT) return new StorageUnavailableError('the database did not answer in time', { cause: error })
  if (sqlState?.startsWith('22') || sqlState?.startsWith('23')) return new ValueRefusedError(message, { cause: error })
  if (sqlState === '42P01' || sqlState === '42703')
    return new StorageUnavailableError('the database is not migrated: run `make migrate`', { cause: error })
  if (sqlState === '42501') return new RightMissingError(message, { cause: error })
  const advice = message.startsWith('unsupported startup parameter') ? ': add it to ignore_startup_parameters of the pooler' : ''
  return new StorageUnavailableError(message + advice, { cause: error })
}

const BUGS = [TypeError, RangeError, ReferenceError, SyntaxError, Prisma.PrismaClientValidationError]

/** Unwraps an error of Prisma: `meta.driverAdapterError.cause` has the SQLSTATE, and the end of the message has the driver's words. */
function describe(error: unknown): { sqlState: string | undefined; message: string } {
  const meta = (error as { meta?: { driverAdapterError?: { cause?: { originalCode?: string; originalMessage?: string } } } }).meta
  const cause = meta?.driverAdapterError?.cause
  // If a host name has several addresses, a refused connection is an AggregateError with an empty message.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  const message = first instanceof Error ? first.message : String(first)
  return { sqlState: cause?.originalCode, message: cause?.originalMessage ?? /Message: `(.*)`$/s.exec(message)?.[1] ?? message }
}
