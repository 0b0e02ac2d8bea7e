import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { until } from '../../../test/support/eventually.ts'
import { childrenOf, Daemon, signalAll } from './daemon.ts'
import type { Programs } from './programs.ts'

const SETTINGS = fileURLToPath(new URL('../../../deploy/ha/patroni.yml', import.meta.url))

const PROMOTED_TIMEOUT_MS = 60_000
const POLL_MS = 50
const TIMEOUTS = { connectionTimeoutMillis: 500, query_timeout: 500 }

/** The users of a cluster that lives for minutes and listens only on loopback. Their passwords need not be secret. */
export const SUPERUSER = { username: 'postgres', password: 'superuser' }
const REPLICATION = { username: 'replicator', password: 'replicator' }

export interface PatroniNodeOptions {
  readonly name: string
  /** A folder in which the user of PostgreSQL can write. */
  readonly folder: string
  readonly programs: Programs
  readonly etcdPort: number
  readonly postgresPort: number
  readonly patroniPort: number
}

/** A database node: PostgreSQL and the Patroni agent that runs it, with the settings of deploy/ha/patroni.yml. */
export class PatroniNode {
  readonly name: string
  readonly postgresPort: number
  readonly patroniPort: number
  readonly #options: PatroniNodeOptions
  #agent: Daemon | undefined
  #frozen: readonly number[] = []

  constructor(options: PatroniNodeOptions) {
    this.name = options.name
    this.postgresPort = options.postgresPort
    this.patroniPort = options.patroniPort
    this.#options = options
  }

  /** Starts the agent, which starts PostgreSQL when it knows the node's role. Does nothing if it runs. */
  start(): void {
    if (this.#agent && !this.#agent.hasEnded) return
    const { name, folder, programs, etcdPort, postgresPort, patroniPort } = this.#options
    const env = {
      PATRONI_NAME: name,
      PATRONI_ETCD3_HOSTS: `127.0.0.1:${etcdPort}`,
      ...addresses('RESTAPI', patroniPort),
      ...addresses('POSTGRESQL', postgresPort),
      PATRONI_POSTGRESQL_DATA_DIR: join(folder, name),
      PATRONI_POSTGRESQL_BIN_DIR: programs.postgresBin,
      PATRONI_POSTGRESQL_PGPASS: join(folder, `${name}.pgpass`),
      ...credentials('SUPERUSER', SUPERUSER),
      ...credentials('REPLICATION', REPLICATION),
    }
    this.#agent = new Daemon({ command: programs.patroni, args: [SETTINGS], env, logFile: this.logFile })
  }

  get logFile(): string {
    return join(this.#options.folder, `${this.name}.log`)
  }

  /** Kills the agent and all processes of PostgreSQL with kill -9, like a machine that loses power. */
  async kill(): Promise<void> {
    const agent = this.#agent
    if (!agent || agent.hasEnded) return
    // The agent comes first, because it must not see its server die.
    signalAll([agent.pid, ...this.#postgres()], 'SIGKILL')
    await agent.exited
  }

  /** Kills only PostgreSQL with kill -9. The agent sees it die. */
  killPostgres(): void {
    signalAll(this.#postgres(), 'SIGKILL')
  }

  /** Freezes all processes. Connections stay open without answers, as on a suspended machine. */
  freeze(): void {
    this.#frozen = [this.#agent?.pid ?? Number.NaN, ...this.#postgres()]
    signalAll(this.#frozen, 'SIGSTOP')
  }

  /** Lets the node continue. Does nothing if it is not frozen. */
  thaw(): void {
    signalAll(this.#frozen.toReversed(), 'SIGCONT')
    this.#frozen = []
  }

  /** Ends the agent, which stops PostgreSQL cleanly. */
  async stop(): Promise<void> {
    this.thaw()
    await this.#agent?.stop()
  }

  /** Resolves when PostgreSQL accepts writes on this node. */
  async promoted(): Promise<void> {
    const isPrimary = async (): Promise<boolean> => {
      await sleep(POLL_MS)
      return this.#isPrimary()
    }
    await until(isPrimary, PROMOTED_TIMEOUT_MS, `${this.name} is promoted`)
  }

  /** Whether PostgreSQL on this node is a primary. False if it does not answer. */
  async #isPrimary(): Promise<boolean> {
    const { username: user, password } = SUPERUSER
    const { postgresPort: port } = this
    const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres', ...TIMEOUTS })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return (await client.query('SELECT pg_is_in_recovery() AS is_standby')).rows[0].is_standby === false
    } catch {
      return false
    } finally {
      // We do not wait for this, because a frozen server never closes its end.
      client.end().catch(() => undefined)
    }
  }

  /** The process ids of the postmaster and its children. Empty if there is no server. */
  #postgres(): number[] {
    const data = join(this.#options.folder, this.name)
    const postmaster = Number.parseInt(readIfThere(join(data, 'postmaster.pid')), 10)
    // The file outlives a killed server, and its process id may belong to another process by now.
    if (Number.isNaN(postmaster) || !readIfThere(`/proc/${postmaster}/cmdline`).includes(data)) return []
    return [postmaster, ...childrenOf(postmaster)]
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

function addresses(of: string, port: number): Record<string, string> {
  const address = `127.0.0.1:${port}`
  return { [`PATRONI_${of}_LISTEN`]: address, [`PATRONI_${of}_CONNECT_ADDRESS`]: address }
}

function credentials(of: string, { username, password }: typeof SUPERUSER): Record<string, string> {
  return { [`PATRONI_${of}_USERNAME`]: username, [`PATRONI_${of}_PASSWORD`]: password }
}
