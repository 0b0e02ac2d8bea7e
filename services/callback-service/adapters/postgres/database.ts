import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { Prisma, PrismaClient } from '#prisma'
import { RightMissingError, StorageUnavailableError, ValueRefusedError } from '../../domain/storage-errors.ts'
import { PostgresConnection, sessionWith } from './connection.ts'

/**
 * One pool of connections to Postgres, through Prisma. Every wait is bounded: for a connection, for an answer (then the connection
 * is given up, and every idle one closed), on the server's side, and for a peer that vanished. A connection that was given up keeps its place
 * in the pool until the server has let go of it: what hangs there is counted.
 */
export interface DatabaseOptions {
  readonly name: string
  readonly url: string
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  readonly queryTimeoutMs: number
  readonly logger: Logger
}

export class Database implements Part {
  readonly name: string
  readonly prisma: PrismaClient
  readonly queryTimeoutMs: number

  constructor(options: DatabaseOptions) {
    const { name, url, maxConnections, connectTimeoutMs, queryTimeoutMs, logger } = options
    this.name = name
    this.queryTimeoutMs = queryTimeoutMs
    const pool = new pg.Pool({
      ...sessionWith(url, {
        // Not synchronous_commit: `on` would weaken a server's `remote_apply`. What must be on disk says so itself (WAIT_FOR_DISK).
        statement_timeout: queryTimeoutMs,
        idle_in_transaction_session_timeout: 10_000,
        tcp_keepalives_idle: 5,
        tcp_keepalives_interval: 2,
        tcp_keepalives_count: 3,
      }),
      // The pool hands it its own options.
      Client: PostgresConnection as unknown as new () => PostgresConnection,
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

/** What the driver says of a statement that was not answered in time. */
const QUERY_TIMED_OUT = 'Query read timeout'

/** Nobody gets the place of a connection that was given up before the server has ended its backend. */
function keepPlace(pool: pg.Pool, client: pg.PoolClient): void {
  pool.options.max -= 1
  const connection = client as unknown as PostgresConnection
  connection.giveUp(() => {
    pool.options.max += 1
  })
}

/** What made one connection silent may have silenced them all: the next statement gets a new one, instead of waiting out each in turn. */
function closeIdle(pool: pg.Pool): void {
  for (let left = pool.idleCount; left > 0; left -= 1) {
    pool.connect().then(
      client => client.release(true),
      () => undefined, // One that cannot be had needs no closing.
    )
  }
}

/**
 * Makes the commit of the statement that selects it wait for the disk, and for the synchronous standby where there is one, whatever the session,
 * the database or a pooler have set. `remote_apply` waits for more and is left alone.
 */
export const WAIT_FOR_DISK = Prisma.sql`set_config('synchronous_commit',
  CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)`

/**
 * Makes a statement that changes nothing wait too: a message of some bytes in the log, for nobody. What it found may be visible and not yet on
 * the disk or the standby; commits are written in order, so that it is when this one is.
 */
export const LEAVE_A_MARK = Prisma.sql`pg_logical_emit_message(true, 'answerback', ''::text) IS NOT NULL`

/** Runs a statement; what goes wrong is told apart into what is worth trying again, what is not, and what is a bug of ours. */
export async function inDatabase<T>(statement: () => PromiseLike<T>): Promise<T> {
  try {
    return await statement()
  } catch (error) {
    throw translate(error)
  }
}

/**
 * SQLSTATE classes 22 (data exception) and 23 (integrity) are the value's fault; anything else, from a refused connection to a
 * full disk, is the database's. https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
function translate(error: unknown): unknown {
  if (BUGS.some(bug => error instanceof bug)) return error
  const { sqlState, message } = describe(error)
  if (message === QUERY_TIMED_OUT) return new StorageUnavailableError('the database did not answer in time', { cause: error })
  if (sqlState?.startsWith('22') || sqlState?.startsWith('23')) return new ValueRefusedError(message, { cause: error })
  if (sqlState === '42P01' || sqlState === '42703')
    return new StorageUnavailableError('the database is not migrated: run `make migrate`', { cause: error })
  if (sqlState === '42501') return new RightMissingError(message, { cause: error })
  const advice = message.startsWith('unsupported startup parameter') ? ': the pooler must have it in ignore_startup_parameters' : ''
  return new StorageUnavailableError(message + advice, { cause: error })
}

const BUGS = [TypeError, RangeError, ReferenceError, SyntaxError, Prisma.PrismaClientValidationError]

/** Prisma wraps what the driver said: `meta.driverAdapterError.cause` holds the SQLSTATE, the end of the message the words. */
function describe(error: unknown): { sqlState: string | undefined; message: string } {
  const meta = (error as { meta?: { driverAdapterError?: { cause?: { originalCode?: string; originalMessage?: string } } } }).meta
  const cause = meta?.driverAdapterError?.cause
  // A refused connection to a name with several addresses is an AggregateError without a message of its own.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  const message = first instanceof Error ? first.message : String(first)
  return { sqlState: cause?.originalCode, message: cause?.originalMessage ?? /Message: `(.*)`$/s.exec(message)?.[1] ?? message }
}
