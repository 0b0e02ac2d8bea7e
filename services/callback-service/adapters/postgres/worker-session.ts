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
  'a connection pooler stands before the database: set database.sessionUrl (DATABASE_SESSION_URL) to an address that keeps sessions'

export interface WorkerSessionOptions {
  readonly url: string
  /** Whether an operator says that a session at this address stays on one server connection (`database.sessionUrl`). */
  readonly keepsSessions?: boolean
  readonly leaseMs: number
  readonly logger: Logger
}

/**
 * Proves that this process lives, in two ways: an advisory lock on one connection of its own, which the server drops the instant the
 * process dies, and a lease renewed on the same connection, which runs out when the process hangs but keeps its sockets. Each renewal updates the
 * worker's row, and proves in the same statement that the lock is still held.
 *
 * A lost connection is made again at once, with the same number, so that claims outlive a restart of Postgres. Where Postgres
 * still believes in the lost one, it is ended; short TCP keepalives on the server's side end that of a process that vanished without a word.
 */
export class WorkerSession implements Part {
  readonly name = 'worker session'
  readonly #options: WorkerSessionOptions
  readonly #self: { readonly host: string; readonly pid: number; readonly leaseMs: number }
  readonly #loop: Loop
  readonly #troubles: TroubleLog
  #client: pg.Client | undefined
  /** The server's process at the other end of the connection. */
  #backend = 0
  #number: number | undefined
  /** Whether the row under our number is not ours yet. */
  #isNew = true
  #sessions = 0
  /** Whether the address was seen to hand our statements to other connections. */
  #isShared = false
  #heldSinceMs: number | undefined
  #problem: string | undefined = 'the worker has no session yet'

  constructor(options: WorkerSessionOptions) {
    this.#options = options
    this.#self = { host: hostname(), pid: process.pid, leaseMs: options.leaseMs }
    this.#troubles = new TroubleLog(options.logger, {
      began: 'worker session lost or not to be had, retrying',
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

  /** The worker's number while lock and lease are held; undefined when nothing may be claimed. */
  get workerNumber(): number | undefined {
    return this.#heldSinceMs === undefined ? undefined : this.#number
  }

  /** Since when lock and lease are held without a break, by `performance.now()`; undefined while they are not. */
  get heldSinceMs(): number | undefined {
    return this.#heldSinceMs
  }

  /** Whether this process has had no more than one session so far. */
  get isFirstSession(): boolean {
    return this.#sessions < 2
  }

  /** Whether a session that is missing can be waited for: there was one, and the address is not known to be of no use. */
  get mayComeBack(): boolean {
    return this.#sessions > 0 && !this.#isShared
  }

  /** Why there is no session; undefined while there is one. */
  get problem(): string | undefined {
    return this.#problem
  }

  start(): void {
    this.#loop.start()
  }

  /** Gives number and lock back. Whatever is still claimed can be taken over from here on. */
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
        // A lease says that we live, not that the disk or a standby is fast: it must not run out because commits hang.
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
   * A server says which process it is when a connection begins; a pooler makes that up. Behind one that gives each transaction another server
   * connection, the lock of a session stays with whoever comes next.
   */
  #isPooled(client: pg.Client): boolean {
    return (client as unknown as { processID: number }).processID !== this.#backend
  }

  /** The statement came to another server process, or the lock is gone. Behind a pooler that never ends well: others take over what we work on. */
  #lockLost(client: pg.Client): StorageUnavailableError {
    if (!this.#isPooled(client)) return new StorageUnavailableError('the worker lost its lock')
    this.#isShared = true
    return new StorageUnavailableError(`the worker lost its lock: ${NEEDS_SESSIONS}`)
  }

  /**
   * Our lost connection may live on in the eyes of Postgres, for seconds or, behind a proxy that holds its end open, for good: it is
   * ended. Anybody else with our number (sequences may fall back when a standby takes over) keeps it, and we take another.
   * @throws always; the next try finds the way clear
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
