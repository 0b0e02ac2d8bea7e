import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import type { Part } from '#foundation/lifecycle.ts'
import type { Logger } from '#foundation/logger.ts'
import { Prisma, PrismaClient } from '#prisma'
import { StorageUnavailableError, ValueRefusedError } from '../domain/storage-errors.ts'

/**
 * One pool of connections to Postgres, through Prisma. Every wait is bounded: for a connection, for an answer (then the connection
 * is thrown away, and every idle one with it), on the server's side, and for a peer that vanished.
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

  constructor(options: DatabaseOptions) {
    const { name, url, maxConnections, connectTimeoutMs, queryTimeoutMs, logger } = options
    this.name = name
    const pool = new pg.Pool({
      connectionString: url,
      max: maxConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: queryTimeoutMs,
      statement_timeout: queryTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 5000,
      application_name: `answerback ${name}`,
      // An acknowledged callback is on disk: whatever the server's default, our commits wait for the flush.
      options:
        '-c synchronous_commit=on -c idle_in_transaction_session_timeout=10000 -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3',
    })
    pool.on('release', error => {
      if (error?.message === QUERY_TIMED_OUT) closeIdle(pool)
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

/** What made one connection silent may have silenced them all: the next statement gets a new one, instead of waiting out each in turn. */
function closeIdle(pool: pg.Pool): void {
  for (let left = pool.idleCount; left > 0; left -= 1) {
    pool.connect().then(
      client => client.release(true),
      () => undefined, // One that cannot be had needs no closing.
    )
  }
}

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
  if (sqlState?.startsWith('22') || sqlState?.startsWith('23')) return new ValueRefusedError(message, { cause: error })
  if (sqlState === '42P01' || sqlState === '42703')
    return new StorageUnavailableError('the database is not migrated: run `make migrate`', { cause: error })
  return new StorageUnavailableError(message, { cause: error })
}

const BUGS = [TypeError, RangeError, ReferenceError, SyntaxError, Prisma.PrismaClientValidationError]

/** Prisma wraps what the driver said: `meta.driverAdapterError.cause` holds the SQLSTATE, the end of the message the words. */
function describe(error: unknown): { sqlState: string | undefined; message: string } {
  const meta = (error as { meta?: { driverAdapterError?: { cause?: { originalCode?: string; originalMessage?: string } } } }).meta
  const cause = meta?.driverAdapterError?.cause
  const message = error instanceof Error ? error.message : String(error)
  return { sqlState: cause?.originalCode, message: cause?.originalMessage ?? /Message: `(.*)`$/s.exec(message)?.[1] ?? message }
}
