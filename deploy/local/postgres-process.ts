import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { PostgresHome } from './postgres-home.ts'

/** The environment of the server. Its output must not depend on the language or time zone of the user. */
export const POSTGRES_ENV = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' }

const START_TIMEOUT_MS = 30_000
const POLL_MS = 10

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  timezone: 'UTC',
  log_timezone: 'UTC',
  max_connections: '200',
  // We read its log to find out whether it is ready, and if not, why.
  lc_messages: 'C',
  log_destination: 'stderr',
  logging_collector: 'off',
}

const THROWAWAY_SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
const EPHEMERAL_SETTINGS = {
  // A service that keeps its callbacks refuses this server (services/callback-service/adapters/postgres/durability.ts).
  'answerback.durability': 'none',
  // The log takes memory, by default up to 1 GB. Checkpoints cost little without fsync.
  max_wal_size: '128MB',
  min_wal_size: '32MB',
}

/**
 * Runs the server and passes on the signals that it reads from standard input. When our process ends, even by kill -9, the input ends
 * and the script stops the server. So no orphan keeps the port and the data. It then deletes the folder REMOVED, if one is named.
 */
const SUPERVISOR = `
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{
  while read -r signal; do kill -"$signal" "$server"; done
  kill -INT "$server" && [ -n "$REMOVED" ] && { while kill -0 "$server"; do sleep 0.1; done; rm -rf "$REMOVED"; }
} <&3 2>/dev/null &
exec 3<&-
wait "$server"
`

interface PostgresProcessOptions {
  readonly port: number
  /** Whether it syncs nothing to the disk. */
  readonly isThrowaway: boolean
  /** Whether its home is deleted when our process ends without stopping it. */
  readonly isEphemeral: boolean
  readonly env: Readonly<Record<string, string>>
}

/** One run of a PostgreSQL server. */
export class PostgresProcess {
  readonly logFile: string
  readonly #home: PostgresHome
  readonly #args: readonly string[]
  readonly #env: Readonly<Record<string, string>>
  #child: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()

  constructor(home: PostgresHome, options: PostgresProcessOptions) {
    this.#home = home
    this.#env = { ...POSTGRES_ENV, ...options.env, REMOVED: options.isEphemeral ? home.folder : '' }
    this.logFile = join(home.folder, 'server.log')
    const settings = {
      ...SETTINGS,
      ...(options.isThrowaway && THROWAWAY_SETTINGS),
      ...(options.isEphemeral && EPHEMERAL_SETTINGS),
      port: options.port,
    }
    this.#args = ['-D', join(home.folder, 'data'), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  }

  /** Resolves when it has ended, for any reason. */
  get exited(): Promise<void> {
    return this.#exited
  }

  /** Its output since the start. */
  log(): Promise<string> {
    return readFile(this.logFile, 'utf8')
  }

  /** @returns true when it accepts connections; false when it ended, or hung and was stopped: `log` says why */
  async start(): Promise<boolean> {
    // Keep the log of the previous run and do not overwrite it: another server may still write to it.
    await rename(this.logFile, `${this.logFile}.old`).catch(nothingThere)
    const log = await open(this.logFile, 'w')
    try {
      this.#spawn(log)
    } finally {
      await log.close()
    }
    const deadline = performance.now() + START_TIMEOUT_MS
    while (this.#child) {
      if ((await this.log()).includes('ready to accept connections')) return true
      if (performance.now() > deadline) this.signal('QUIT')
      await Promise.race([sleep(POLL_MS), this.#exited])
    }
    return false
  }

  /** INT stops it cleanly and disconnects all clients; QUIT stops it at once. Does nothing if it has ended. */
  signal(signal: 'INT' | 'QUIT'): void {
    this.#child?.stdin?.write(`${signal}\n`)
  }

  #spawn(log: FileHandle): void {
    const { postgres, user } = this.#home
    const child = spawn('/bin/sh', ['-c', SUPERVISOR, 'sh', postgres, ...this.#args], {
      ...user,
      cwd: '/',
      env: this.#env,
      detached: true,
      stdio: ['pipe', log.fd, log.fd],
    })
    this.#child = child
    // It may end between our check and our write. `exited` then says that it has ended.
    child.stdin?.on('error', () => {})
    this.#exited = new Promise(resolve => {
      child.once('exit', () => {
        this.#child = undefined
        child.stdin?.destroy()
        resolve()
      })
    })
  }
}

/**
 * Removes a lock file that names a process other than our server. A kill -9 leaves the lock file behind. PostgreSQL checks whether the process
 * lives, but takes any process of the same user for a server, even one that got the number later. In containers that is common: numbers are low.
 */
export async function dropForeignLock(data: string): Promise<void> {
  const lock = join(data, 'postmaster.pid')
  const pid = Number.parseInt(await readFile(lock, 'utf8').catch(nothingThere), 10)
  if (Number.isNaN(pid)) return
  const command = await commandOf(pid)
  if (command !== '' && !command.includes(data)) await rm(lock)
}

/** @returns the command line of the process, or the empty string if there is no such process */
async function commandOf(pid: number): Promise<string> {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(nothingThere)
  const { stdout } = await promisify(execFile)('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
  return stdout
}

function nothingThere(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT' || error.code === 'ESRCH') return ''
  throw error
}
