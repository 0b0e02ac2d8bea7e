import { hostname } from 'node:os'
import pg from 'pg'
import { Loop } from '#foundation/lifecycle/loop.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { TroubleLog } from '#foundation/telemetry/trouble-log.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { sessionWith } from './connection.ts'
import { inDatabase } from './database.ts'
import { clearAway, endHolder, renew, takeNumber, tryLock } from './worker-row.ts'

export { ADVISORY_CLASS } from './worker-row.ts'

const CONNECT_TIMEOUT_MS = 2000
const QUERY_TIMEOUT_MS = 3000

const NEEDS_SESSIONS =
  'there is a connection pooler in front of the database: set database.sessionUrl (DATABASE_SESSION_URL) to an address that keeps sessions'

export interface WorkerSessionOptions {
  readonly url: string
  /** Whether the operator has declared that a session at this address stays on one server connection (`database.sessionUrl`). */
  readonly keepsSessions?: boolean
  readonly leaseMs: number
  readonly logger: Logger
}

/**
 * Proves in two ways that this process is alive, on a connection of its own. It holds an advisory lock, which the server releases as soon
 * as the process dies. It also renews a lease, which expires if the process hangs but keeps its sockets. Each renewal updates the worker's
 * row, and proves in the same statement that the connection still holds the lock.
 *
 * If the connection is lost, the session opens a new one at once, with the same number, so that claims outlive a restart of Postgres. If
 * Postgres still keeps the lost connection, the session ends it. Short TCP keepalives on the server's side end the connection of a process
 * that vanished without closing it.
 */
export class WorkerSession implements Part {
  readonly name = 'worker session'
  readonly #options: WorkerSessionOptions
  readonly #self: { readonly host: string; readonly pid: number; readonly leaseMs: number }
  readonly #loop: Loop
  readonly #troubles: TroubleLog
  #client: pg.Client | undefined
  /** Process id of the server process at the other end of the connection. */
  #backend = 0
  #number: number | undefined
  /** Whether we have not written the row under our number yet. */
  #isNew = true
  #sessions = 0
  /** Whether the address has sent our statements to another server connection. */
  #isShared = false
  #heldSinceMs: number | undefined
  #problem: string | undefined = 'the worker has no session yet'

  constructor(options: WorkerSessionOptions) {
    this.#options = options
    this.#self = { host: hostname(), pid: process.pid, leaseMs: options.leaseMs }
    this.#troubles = new TroubleLog(options.logger, {
      began: 'worker session lost or unavailable, retrying',
      ended: 'worker session held',
    })
    this.#loop = new Loop({
      name: 'lease renewal',
      logger: options.logger,
      isReportedElsewhere: error => error instanceof StorageUnavailableError,
      pass: () => this.#renew(),
      retryMs: 100,
      maxRetryMs: 500,
    })
  }

  /** The worker's number while it holds its lock and its lease; undefined while it may not claim. */
  get workerNumber(): number | undefined {
    return this.#heldSinceMs === undefined ? undefined : this.#number
  }

  /** The number that the worker has or had last; undefined before its first session. */
  get lastNumber(): number | undefined {
    return this.#number
  }

  /** Since when the worker has held its lock and its lease without a break, by `performance.now()`; undefined while it does not. */
  get heldSinceMs(): number | undefined {
    return this.#heldSinceMs
  }

  /** Whether this process has had at most one session so far. */
  get isFirstSession(): boolean {
    return this.#sessions < 2
  }

  /** Whether a missing session may come back: there was one before, and the address did not turn out to be useless. */
  get mayComeBack(): boolean {
    return this.#sessions > 0 && !this.#isShared
  }

  /** Why this process has no session; undefined while it has one. */
  get problem(): string | undefined {
    return this.#problem
  }

  start(): void {
    this.#loop.start()
  }

  /** Gives the number and the lock back. From then on, other workers can take over callbacks that are still claimed. */
  async stop(): Promise<void> {
    await this.#loop.stop()
    const client = this.#client
    this.#client = undefined
    this.#heldSinceMs = undefined
    if (!client) return
    await client.query('DELETE FROM workers WHERE number = $1', [this.#number]).catch(error => {
      this.#options.logger.debug({ err: error }, 'worker row left behind')
    })
    await client.end()
  }

  async #renew(): Promise<number> {
    try {
      const client = this.#client ?? (await inDatabase(() => this.#open()))
      const row = { ...this.#self, number: this.#number as number, backend: this.#backend, isNew: this.#isNew }
      if (!(await inDatabase(() => renew(client, row)))) throw this.#lockLost(client)
      if (client === this.#client) this.#hold()
      return this.#options.leaseMs / 3
    } catch (error) {
      this.#lose(error instanceof Error ? error.message : String(error))
      throw error
    }
  }

  #hold(): void {
    this.#isNew = false
    this.#problem = undefined
    if (this.#heldSinceMs === undefined) {
      this.#sessions += 1
      this.#heldSinceMs = performance.now()
    }
    this.#troubles.end({ worker: this.#number })
  }

  async #open(): Promise<pg.Client> {
    const client = new pg.Client({
      ...sessionWith(this.#options.url, {
        tcp_keepalives_idle: 2,
        tcp_keepalives_interval: 1,
        tcp_keepalives_count: 3,
        // The lease must not expire while commits hang. It proves that we are alive, not that the disk or a standby is fast.
        synchronous_commit: 'off',
      }),
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
      application_name: 'answerback worker session',
    })
    client.on('error', error => this.#onLost(client, error))
    client.on('end', () => this.#onLost(client, undefined))
    await client.connect()
    this.#client = client
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    this.#backend = rows[0]?.pid ?? 0
    if (this.#isPooled(client) && (this.#isShared || !this.#options.keepsSessions)) throw new StorageUnavailableError(NEEDS_SESSIONS)
    this.#number ??= await takeNumber(client)
    if (!(await tryLock(client, this.#number))) await this.#takeLockFrom(client, this.#number)
    await clearAway(client)
    return client
  }

  /**
   * Whether a pooler is in between. When a connection begins, a server announces its process id, but a pooler announces an invented one. If
   * the pooler uses another server connection for each transaction, the lock stays with a connection that others use next.
   */
  #isPooled(client: pg.Client): boolean {
    return (client as unknown as { processID: number }).processID !== this.#backend
  }

  /**
   * The error for a renewal that did not find the lock. Behind a pooler the session is useless from then on, because others would take over
   * our callbacks again and again.
   */
  #lockLost(client: pg.Client): StorageUnavailableError {
    if (!this.#isPooled(client)) return new StorageUnavailableError('the worker lost its lock')
    this.#isShared = true
    return new StorageUnavailableError(`the worker lost its lock: ${NEEDS_SESSIONS}`)
  }

  /**
   * Ends our lost connection, if it still holds the lock. Postgres may keep it for seconds, or forever behind a proxy that holds its end
   * open. If another worker holds the lock, it keeps the number, and we take another one. A sequence may fall back when a standby takes
   * over.
   * @throws always; the next try finds the lock free
   */
  async #takeLockFrom(client: pg.Client, number: number): Promise<never> {
    if (!(await endHolder(client, { ...this.#self, number }))) this.#forgetNumber()
    throw new StorageUnavailableError(`the lock of worker ${number} was still held`)
  }

  #forgetNumber(): void {
    this.#number = undefined
    this.#isNew = true
  }

  #onLost(client: pg.Client, error: Error | undefined): void {
    if (client !== this.#client) return
    this.#lose(error?.message ?? 'the connection was closed')
    this.#loop.wake()
  }

  #lose(reason: string): void {
    this.#problem = reason
    this.#troubles.tell(reason, { worker: this.#number })
    const client = this.#client
    this.#client = undefined
    this.#heldSinceMs = undefined
    client?.end().catch(error => this.#options.logger.debug({ err: error }, 'lost connection did not close cleanly'))
  }
}
