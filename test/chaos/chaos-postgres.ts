import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { LocalPostgres } from '../../deploy/local/postgres.ts'
import { withClient } from '../support/database.ts'
import { quietPort } from './quiet-port.ts'
import { CAN_STEP_CLOCKS, SteppableClock } from './steppable-clock.ts'

const DATABASE = 'answerback'

/** Session options for the statements of the test, so that they succeed while those of the services fail. */
const PAST_ALL_TROUBLE = '-c default_transaction_read_only=off -c synchronous_commit=local'

const STEP_TOLERANCE_MS = 500

/** A separate PostgreSQL server with the default durability. It can be told to crash, to hang and to step its clock. */
export class ChaosPostgres {
  readonly #server: LocalPostgres
  /** The clock of the server; undefined if clocks cannot step on this machine. */
  readonly #clock: SteppableClock | undefined
  #thaw: (() => Promise<void>) | undefined

  private constructor(server: LocalPostgres, clock: SteppableClock | undefined) {
    this.#server = server
    this.#clock = clock
  }

  static async start(): Promise<ChaosPostgres> {
    const folder = await mkdtemp(join(tmpdir(), 'answerback-chaos-'))
    const clock = CAN_STEP_CLOCKS ? await SteppableClock.start(folder) : undefined
    const server = new LocalPostgres({ folder, port: await quietPort(), env: clock?.env ?? {} })
    await server.start()
    await server.createDatabase(DATABASE)
    return new ChaosPostgres(server, clock)
  }

  /** The URL of the database. It stays the same after a restart. */
  get url(): string {
    return this.#server.url(DATABASE)
  }

  /** Stops the server like `pg_ctl stop -m immediate`, and starts it again after `forMs`. Resolves when it accepts connections. */
  async crash(forMs: number): Promise<void> {
    this.#server.kill()
    await this.#server.exited
    await sleep(forMs)
    await this.#server.start()
  }

  /** Freezes all processes of the server. Sockets stay open, but get no answer. */
  async freeze(): Promise<void> {
    const client = new pg.Client({ connectionString: this.url })
    client.on('error', () => undefined)
    await client.connect()
    const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory')
    const lockFile = await readFile(join(rows[0]?.data_directory ?? '', 'postmaster.pid'), 'utf8')
    const postmaster = Number.parseInt(lockFile, 10)
    // The postmaster comes first, because it starts the others. The backend of this connection comes last.
    process.kill(postmaster, 'SIGSTOP')
    const others = await client.query<{ pid: number }>('SELECT pid FROM pg_stat_activity ORDER BY pid = pg_backend_pid()')
    const pids = [postmaster, ...others.rows.map(({ pid }) => pid)]
    for (const pid of pids) signalIfThere(pid, 'SIGSTOP')
    this.#thaw = async () => {
      for (const pid of pids) signalIfThere(pid, 'SIGCONT')
      await client.end()
    }
  }

  /** Lets the server continue. Does nothing if it is not frozen. */
  async thaw(): Promise<void> {
    await this.#thaw?.()
    this.#thaw = undefined
  }

  /** Steps the clock of all processes of the server permanently. */
  async stepClock(ms: number): Promise<void> {
    if (!this.#clock) throw new Error('no clock can step here: libfaketime is not installed')
    await this.#clock.step(ms)
    const trueMs = Date.now()
    const { rows } = await this.use(db => db.query<{ ms: number }>('SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS ms'))
    const steppedMs = (rows[0]?.ms ?? 0) - this.#clock.offsetMs
    if (steppedMs < trueMs - STEP_TOLERANCE_MS || steppedMs > Date.now() + STEP_TOLERANCE_MS)
      throw new Error(`the clock of Postgres did not step: the user it runs as may be unable to read ${tmpdir()}`)
  }

  /** Changes a setting for all sessions, existing and new. Without a value, it restores the default. */
  async configure(setting: string, value?: string): Promise<void> {
    await this.use(async db => {
      await db.query(value === undefined ? `ALTER SYSTEM RESET ${setting}` : `ALTER SYSTEM SET ${setting} = '${value}'`)
      await db.query('SELECT pg_reload_conf()')
    })
  }

  /** Runs `work` with a separate connection that bypasses all proxies. */
  use<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    return withClient(withOptions(this.url, PAST_ALL_TROUBLE), work)
  }

  async stop(): Promise<void> {
    await this.thaw()
    await this.#server.stop()
    await this.#server.remove()
    await this.#clock?.stop()
  }
}

/** Adds settings for the sessions to a URL. @param options such as `-c name=value` */
export function withOptions(url: string, options: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}options=${encodeURIComponent(options)}`
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
