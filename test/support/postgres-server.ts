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
  /** Where its data live (a temporary folder). */
  readonly folder?: string
  /** For tests that stop nothing in the middle: nothing is synced to the disk. */
  readonly isThrowaway?: boolean
}

/**
 * A PostgreSQL of its own to whom anything may happen: killed, frozen, started again on the same port with what it had.
 * It has the durability servers have by default: what is committed is on disk.
 */
export class PostgresServer {
  readonly #local: LocalPostgres
  /** Its processes, the postmaster first, while they are stopped. */
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

  /** @returns the URL of a migrated database of that name */
  async createDatabase(name: string): Promise<string> {
    await this.#local.createDatabase(name)
    const url = this.#local.url(name)
    await migrate({ url })
    return url
  }

  /** Starts it again; resolves when it takes connections. */
  resume(): Promise<void> {
    return this.#local.start()
  }

  /** Ends it without waiting for anything, as `pg_ctl stop -m immediate` does. */
  async kill(): Promise<void> {
    this.#local.kill()
    await this.#local.exited
  }

  /** Stops all its processes where they stand: connections stay, new ones are taken by the kernel, and nobody answers. */
  async freeze(): Promise<void> {
    const postmaster = await withClient(this.#local.url('postgres'), async client => {
      const { rows } = await client.query(`SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int AS pid`)
      return rows[0].pid as number
    })
    // The postmaster first: it starts no more then.
    process.kill(postmaster, 'SIGSTOP')
    const others = (await processes()).filter(({ parent }) => parent === postmaster).map(({ pid }) => pid)
    this.#frozen = [postmaster, ...others]
    for (const pid of others) signal(pid, 'SIGSTOP')
  }

  /** Lets it go on. Does nothing if it is not frozen. */
  thaw(): void {
    for (const pid of this.#frozen.toReversed()) signal(pid, 'SIGCONT')
    this.#frozen = []
  }

  /** Ends it, whatever happened to it, and deletes its data. */
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

/** A backend may have ended meanwhile. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
