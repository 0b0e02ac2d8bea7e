import { hostname } from 'node:os'
import pg from 'pg'
import type { Part } from '#foundation/lifecycle.ts'
import type { Logger } from '#foundation/logger.ts'
import { Loop } from '#foundation/loop.ts'
import { isStorageTrouble } from '../domain/storage-errors.ts'
import { inDatabase } from './database.ts'

/** The first key of our workers' advisory locks; the second is the worker's number. Any constant nobody else uses. */
export const ADVISORY_CLASS = 0x616e7377

const CONNECT_TIMEOUT_MS = 2000
const QUERY_TIMEOUT_MS = 3000

/**
 * Proves that this process lives, in two ways: an advisory lock on one connection of its own, which the server drops the instant the
 * process dies, and a lease renewed on the same connection, which runs out when the process hangs but keeps its sockets.
 *
 * A lost connection is made again at once, with the same number, so that claims outlive a restart of Postgres. Where Postgres
 * still believes in the lost one, it is ended; short TCP keepalives on the server's side end that of a process that vanished without a word.
 */
export class WorkerSession implements Part {
  readonly name = 'worker session'
  readonly #url: string
  readonly #leaseMs: number
  readonly #logger: Logger
  readonly #loop: Loop
  #client: pg.Client | undefined
  #number: number | undefined
  #isHeld = false

  constructor(options: { url: string; leaseMs: number; logger: Logger }) {
    this.#url = options.url
    this.#leaseMs = options.leaseMs
    this.#logger = options.logger
    this.#loop = new Loop({
      name: 'lease renewal',
      logger: options.logger,
      isReportedElsewhere: isStorageTrouble,
      pass: () => inDatabase(() => this.#renew()),
      retryMs: 100,
      maxRetryMs: 500,
    })
  }

  /** The worker's number while lock and lease are held; undefined when nothing may be claimed. */
  get worker(): number | undefined {
    return this.#isHeld ? this.#number : undefined
  }

  start(): void {
    this.#loop.start()
  }

  /** Gives number and lock back. Whatever is still claimed can be taken over from here on. */
  async stop(): Promise<void> {
    await this.#loop.stop()
    const client = this.#client
    this.#client = undefined
    this.#isHeld = false
    if (!client) return
    await client.query('DELETE FROM workers WHERE number = $1', [this.#number]).catch(error => {
      this.#logger.debug({ err: error }, 'worker row left behind')
    })
    await client.end()
  }

  async #renew(): Promise<number> {
    try {
      if (!this.#client) await this.#open()
      await this.#client?.query(
        `INSERT INTO workers (number, host, pid, lease_expires_at) VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 ms')
         ON CONFLICT (number) DO UPDATE SET lease_expires_at = excluded.lease_expires_at`,
        [this.#number, hostname(), process.pid, this.#leaseMs],
      )
      this.#isHeld = this.#client !== undefined
      return this.#leaseMs / 3
    } catch (error) {
      this.#drop()
      throw error
    }
  }

  async #open(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      keepAlive: true,
      application_name: 'answerback worker session',
      options: '-c tcp_keepalives_idle=2 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3',
    })
    client.on('error', error => this.#onLost(client, error))
    client.on('end', () => this.#onLost(client, undefined))
    await client.connect()
    this.#client = client
    this.#number ??= await takeNumber(client)
    const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1, $2) AS locked', [
      ADVISORY_CLASS,
      this.#number,
    ])
    if (!rows[0]?.locked) await this.#takeLockFrom(client)
    await client.query(`DELETE FROM workers WHERE lease_expires_at < now() - interval '1 hour'`)
  }

  /**
   * Our lost connection may live on in the eyes of Postgres, for seconds or, behind a proxy that holds its end open, for good: it is
   * ended. Anybody else with our number (sequences may fall back when a standby takes over) keeps it, and we take another.
   * @throws always; the next try finds the way clear
   */
  async #takeLockFrom(client: pg.Client): Promise<never> {
    const number = this.#number
    const { rowCount } = await client.query(
      `SELECT pg_terminate_backend(l.pid, 1000) FROM workers w, pg_locks l
       WHERE w.number = $2 AND w.host = $3 AND w.pid = $4
         AND l.locktype = 'advisory' AND l.classid = $1::int::oid AND l.objid = $2::int::oid AND l.objsubid = 2
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      [ADVISORY_CLASS, number, hostname(), process.pid],
    )
    if (rowCount === 0) this.#number = undefined
    throw new Error(`the lock of worker ${number} was still held`)
  }

  #onLost(client: pg.Client, error: Error | undefined): void {
    if (client !== this.#client) return
    this.#logger.warn({ worker: this.#number, reason: error?.message ?? 'connection closed' }, 'worker session lost, making a new one')
    this.#drop()
    this.#loop.wake()
  }

  #drop(): void {
    const client = this.#client
    this.#client = undefined
    this.#isHeld = false
    client?.end().catch(error => this.#logger.debug({ err: error }, 'lost connection did not close cleanly'))
  }
}

async function takeNumber(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ number: number }>(`SELECT nextval(pg_get_serial_sequence('workers', 'number'))::int AS number`)
  return (rows[0] as { number: number }).number
}
