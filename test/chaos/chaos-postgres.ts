import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { LocalPostgres } from '../../deploy/local/postgres.ts'
import { withClient } from '../support/database.ts'
import { quietPort } from './quiet-port.ts'

const DATABASE = 'answerback'

/** A PostgreSQL of its own, with the durability it has by default, that crashes and hangs when it is told. */
export class ChaosPostgres {
  readonly #server: LocalPostgres
  #thaw: (() => Promise<void>) | undefined

  private constructor(server: LocalPostgres) {
    this.#server = server
  }

  static async start(): Promise<ChaosPostgres> {
    const server = new LocalPostgres({ folder: await mkdtemp(join(tmpdir(), 'answerback-chaos-')), port: await quietPort() })
    await server.start()
    await server.createDatabase(DATABASE)
    return new ChaosPostgres(server)
  }

  /** The same over all its lives. */
  get url(): string {
    return this.#server.url(DATABASE)
  }

  /** Stops it as `pg_ctl stop -m immediate` does, and starts it again `forMs` later. Resolves when it takes connections. */
  async crash(forMs: number): Promise<void> {
    this.#server.kill()
    await this.#server.exited
    await sleep(forMs)
    await this.#server.start()
  }

  /** Stops all its processes where they are: sockets stay open, and nobody answers. */
  async freeze(): Promise<void> {
    const client = new pg.Client({ connectionString: this.url })
    client.on('error', () => undefined)
    await client.connect()
    const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory')
    const lockFile = await readFile(join(rows[0]?.data_directory ?? '', 'postmaster.pid'), 'utf8')
    const postmaster = Number.parseInt(lockFile, 10)
    // First the one that makes the others, last the one that we ask.
    process.kill(postmaster, 'SIGSTOP')
    const others = await client.query<{ pid: number }>('SELECT pid FROM pg_stat_activity ORDER BY pid = pg_backend_pid()')
    const pids = [postmaster, ...others.rows.map(({ pid }) => pid)]
    for (const pid of pids) signalIfThere(pid, 'SIGSTOP')
    this.#thaw = async () => {
      for (const pid of pids) signalIfThere(pid, 'SIGCONT')
      await client.end()
    }
  }

  /** Lets it go on. Does nothing if it is not frozen. */
  async thaw(): Promise<void> {
    await this.#thaw?.()
    this.#thaw = undefined
  }

  /** Runs `work` with a connection of its own, past all proxies. */
  use<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    return withClient(this.url, work)
  }

  async stop(): Promise<void> {
    await this.thaw()
    await this.#server.stop()
    await this.#server.remove()
  }
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
