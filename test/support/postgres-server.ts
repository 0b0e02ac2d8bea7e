import { execFile } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { migrate } from '#prisma/migrate.ts'
import { freePort } from '../../deploy/local/ports.ts'
import { LocalPostgres } from '../../deploy/local/postgres.ts'
import { withClient } from './database.ts'

export interface PostgresServerOptions {
  /** Folder of its data (default: a temporary folder). */
  readonly folder?: string
  /** Whether the server syncs nothing to the disk. This suits tests that do not kill it. */
  readonly isThrowaway?: boolean
}

/**
 * A separate PostgreSQL server that tests can kill, freeze, and start again on the same port with the same data.
 * It has the default durability of a server: committed data is on the disk.
 */
export class PostgresServer {
  readonly #local: LocalPostgres
  /** The process ids of the server while it is frozen, the postmaster first. */
  #frozen: readonly number[] = []

  private constructor(local: LocalPostgres) {
    this.#local = local
  }

  static async start({ folder, isThrowaway = false }: PostgresServerOptions = {}): Promise<PostgresServer> {
    const home = folder ?? (await mkdtemp(join(tmpdir(), 'answerback-postgres-')))
    const server = new PostgresServer(new LocalPostgres({ folder: home, port: await freePort(), isThrowaway }))
    await server.resume()
    return server
  }

  /** Creates and migrates a database. @returns its URL */
  async createDatabase(name: string): Promise<string> {
    const url = await this.createEmptyDatabase(name)
    await migrate({ url })
    return url
  }

  async createEmptyDatabase(name: string): Promise<string> {
    await this.#local.createDatabase(name)
    return this.#local.url(name)
  }

  /** Starts the server again. Resolves when it accepts connections. */
  resume(): Promise<void> {
    return this.#local.start()
  }

  /** Ends the server at once, like `pg_ctl stop -m immediate`. */
  async kill(): Promise<void> {
    this.#local.kill()
    await this.#local.exited
  }

  /** Freezes all processes of the server. Connections stay open, the kernel accepts new ones, and none gets an answer. */
  async freeze(): Promise<void> {
    const postmaster = await withClient(this.#local.url('postgres'), async client => {
      const { rows } = await client.query(`SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int AS pid`)
      return rows[0].pid as number
    })
    // The postmaster comes first, so that it starts no more processes.
    process.kill(postmaster, 'SIGSTOP')
    const others = (await processes()).filter(({ parent }) => parent === postmaster).map(({ pid }) => pid)
    this.#frozen = [postmaster, ...others]
    for (const pid of others) signal(pid, 'SIGSTOP')
  }

  /** Lets the server continue. Does nothing if it is not frozen. */
  thaw(): void {
    for (const pid of this.#frozen.toReversed()) signal(pid, 'SIGCONT')
    this.#frozen = []
  }

  /** Ends the server in any state, and deletes its data. */
  async remove(): Promise<void> {
    this.thaw()
    await this.#local.stop()
    await this.#local.remove()
  }
}

async function processes(): Promise<{ pid: number; parent: number }[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=', '-o', 'ppid='])
  return stdout
    .trim()
    .split('\n')
    .map(line => line.trim().split(/\s+/).map(Number))
    .map(([pid = 0, parent = 0]) => ({ pid, parent }))
}

/** Sends a signal to a process, which may have ended meanwhile. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
