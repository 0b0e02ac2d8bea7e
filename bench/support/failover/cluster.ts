import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { migrate } from '#prisma/migrate.ts'
import { freePort } from '../../../deploy/local/ports.ts'
import { withClient } from '../../../test/support/database.ts'
import { until } from '../../../test/support/eventually.ts'
import { unlessInterrupted } from '../interruption.ts'
import type { BenchDatabase } from '../postgres.ts'
import { Daemon } from './daemon.ts'
import { PatroniNode, SUPERUSER } from './patroni-node.ts'
import { findPrograms, type Programs } from './programs.ts'

const HAPROXY_SETTINGS = fileURLToPath(new URL('../../../deploy/ha/haproxy.cfg', import.meta.url))
const DATABASE = 'answerback'
const SERVICE_USER = { username: 'answerback', password: 'answerback' }
const HEALTHY_TIMEOUT_MS = 120_000
const POLL_MS = 200

export interface Roles {
  readonly primary: PatroniNode
  readonly standby: PatroniNode
}

/** Two Patroni nodes, the etcd through which they agree, and the HAProxy that leads to the primary. All listen on loopback. */
export class Cluster {
  readonly #nodes: readonly [PatroniNode, PatroniNode]
  readonly #etcd: Daemon
  readonly #haproxy: Daemon
  readonly #port: number

  private constructor(parts: { nodes: readonly [PatroniNode, PatroniNode]; etcd: Daemon; haproxy: Daemon; port: number }) {
    this.#nodes = parts.nodes
    this.#etcd = parts.etcd
    this.#haproxy = parts.haproxy
    this.#port = parts.port
  }

  /** @param folder a folder in which the user of PostgreSQL can write */
  static async start(folder: string, programs: Programs): Promise<Cluster> {
    const [etcdPort, peerPort, port, ...ports] = await distinctPorts(7)
    const [postgresA, patroniA, postgresB, patroniB] = ports as [number, number, number, number]
    const etcd = new Daemon({
      command: programs.etcd,
      args: etcdArguments({ folder: join(folder, 'etcd'), port: etcdPort as number, peerPort: peerPort as number }),
      env: {},
      logFile: join(folder, 'etcd.log'),
    })
    const shared = { folder, programs, etcdPort: etcdPort as number }
    const nodes = [
      new PatroniNode({ ...shared, name: 'a', postgresPort: postgresA, patroniPort: patroniA }),
      new PatroniNode({ ...shared, name: 'b', postgresPort: postgresB, patroniPort: patroniB }),
    ] as const
    const haproxy = new Daemon({
      command: programs.haproxy,
      args: ['-f', HAPROXY_SETTINGS],
      env: {
        LISTEN: `127.0.0.1:${port}`,
        NODE_A: `127.0.0.1:${postgresA}`,
        NODE_A_PATRONI: String(patroniA),
        NODE_B: `127.0.0.1:${postgresB}`,
        NODE_B_PATRONI: String(patroniB),
      },
      logFile: join(folder, 'haproxy.log'),
    })
    for (const node of nodes) node.start()
    return new Cluster({ nodes, etcd, haproxy, port: port as number })
  }

  /** The URL that a service uses. It leads to HAProxy. */
  url(database: string, { username, password } = SERVICE_USER): string {
    return `postgresql://${username}:${password}@127.0.0.1:${this.#port}/${database}`
  }

  /** Resolves when one node is the primary, also for HAProxy, and the other is its synchronous standby. */
  healthy(): Promise<Roles> {
    return until(() => this.#roles(), HEALTHY_TIMEOUT_MS, 'a primary with a synchronous standby')
  }

  /** Asks Patroni to make the standby the primary. Resolves when Patroni confirms it. */
  async switchover({ primary, standby }: Roles): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${primary.patroniPort}/switchover`, {
      method: 'POST',
      body: JSON.stringify({ leader: primary.name, candidate: standby.name }),
    })
    if (!response.ok) throw new Error(`no switchover: ${await response.text()}`)
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map(node => node.stop()))
    await Promise.all([this.#etcd.stop(), this.#haproxy.stop()])
  }

  async #roles(): Promise<Roles | undefined> {
    await sleep(POLL_MS)
    const members = await this.#members()
    const find = (role: string, state: string): PatroniNode | undefined =>
      this.#nodes.find(({ name }) => members.some(member => member.name === name && member.role === role && member.state === state))
    const [primary, standby] = [find('leader', 'running'), find('sync_standby', 'streaming')]
    if (!primary || !standby) return undefined
    const port = await this.#portBehindHaproxy()
    return port === primary.postgresPort ? { primary, standby } : undefined
  }

  /** Reads the members of the cluster from a node. Empty if no node answers. */
  async #members(): Promise<readonly Member[]> {
    for (const { patroniPort } of this.#nodes) {
      try {
        const response = await fetch(`http://127.0.0.1:${patroniPort}/cluster`, { signal: AbortSignal.timeout(500) })
        return ((await response.json()) as { members: Member[] }).members
      } catch {
        // The other node may answer.
      }
    }
    return []
  }

  async #portBehindHaproxy(): Promise<number | undefined> {
    try {
      const { rows } = await withClient(this.url('postgres', SUPERUSER), client => client.query('SELECT inet_server_port() AS port'))
      return rows[0].port
    } catch {
      return undefined
    }
  }
}

interface Member {
  readonly name: string
  readonly role: string
  readonly state: string
}

/** Runs `work` with a highly available PostgreSQL and a migrated database. Afterwards it stops everything and deletes all files. */
export async function withCluster(work: (database: BenchDatabase<Cluster>) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'answerback-failover-'))
  let cluster: Cluster | undefined
  try {
    const database = await unlessInterrupted(async () => {
      // If we are root, the servers run as another user.
      await chmod(folder, 0o777)
      const programs = await findPrograms(folder, line => void process.stdout.write(`  ${line}\n`))
      cluster = await Cluster.start(folder, programs)
      return prepareDatabase(cluster)
    })
    await work(database)
  } finally {
    await cluster?.stop()
    await rm(folder, { recursive: true, maxRetries: 5 })
  }
}

/** Creates the services' user and database through HAProxy, as an operator would. */
async function prepareDatabase(cluster: Cluster): Promise<BenchDatabase<Cluster>> {
  const { username, password } = SERVICE_USER
  await cluster.healthy()
  const version = await withClient(cluster.url('postgres', SUPERUSER), async admin => {
    await admin.query(`CREATE ROLE ${username} LOGIN PASSWORD '${password}'`)
    await admin.query(`CREATE DATABASE ${DATABASE} OWNER ${username}`)
    return (await admin.query('SHOW server_version')).rows[0].server_version as string
  })
  const url = cluster.url(DATABASE)
  await migrate({ url })
  return { server: cluster, url, version: version.split(' ')[0] ?? version }
}

function etcdArguments({ folder, port, peerPort }: { folder: string; port: number; peerPort: number }): string[] {
  const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`]
  return [
    `--data-dir=${folder}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
  ]
}

async function distinctPorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) ports.add(await freePort())
  return [...ports]
}
