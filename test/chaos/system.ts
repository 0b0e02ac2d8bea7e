import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { migrate } from '#prisma/migrate.ts'
import { range, readMetrics } from '../support/callbacks.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { Access } from './access.ts'
import { type ChaosAgent, startAgent, stopAgent } from './agents.ts'
import { ChaosPostgres } from './chaos-postgres.ts'
import { quietPort } from './quiet-port.ts'
import { Strays } from './strays.ts'
import { SupervisedService } from './supervised-service.ts'
import { LEASE_MS, urlOfReplica, witness } from './witness.ts'

/** The sources of this checkout. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface Replica {
  readonly service: SupervisedService
  /** Its connection to Postgres. */
  readonly proxy: TcpProxy
}

export interface ChaosSystemOptions {
  readonly replicas: number
  /** Folder of the services' sources. */
  readonly root: string
}

/**
 * The settings of the callback services. Waits are as short as possible, and the retention is longer than a run. With few requests and a
 * long timeout for each, a backlog shrinks even on a slow machine.
 */
const SETTINGS = {
  CLAIMS_LEASE_MS: String(LEASE_MS),
  AGENTS_LEASE_SECONDS: String(LEASE_MS / 1000),
  PROCESS_RETRY_BASE_MS: '200',
  PROCESS_RETRY_MAX_MS: '1000',
  FETCH_CONCURRENCY: '64',
  FETCH_TIMEOUT_MS: '2000',
  FETCH_BREAKER_OPEN_MS: '200',
  FETCH_BREAKER_MAX_OPEN_MS: '1000',
  EXPIRY_TTL_SECONDS: '10',
  CALLBACKS_RETENTION_SECONDS: '86400',
  ZIPKIN_URL: '',
}

/** How fast the client service answers while it has no fault. */
export const CLIENT_LATENCY = { minMs: 20, maxMs: 300 }

const AGENTS = ['agent-0', 'agent-1']

/** Several callback services on one database, each with its own proxy and its own spool, one client service, and two agents beside it. */
export class ChaosSystem {
  readonly postgres: ChaosPostgres
  readonly replicas: readonly Replica[]
  readonly client: SupervisedService
  readonly access: Access
  readonly agents: ChaosAgent[] = []
  #strays: Strays | undefined
  readonly #folder: string

  private constructor(parts: {
    postgres: ChaosPostgres
    replicas: readonly Replica[]
    client: SupervisedService
    access: Access
    folder: string
  }) {
    this.postgres = parts.postgres
    this.replicas = parts.replicas
    this.client = parts.client
    this.access = parts.access
    this.#folder = parts.folder
  }

  /** Starts the system. Resolves when all services are ready. */
  static async start({ replicas: count, root }: ChaosSystemOptions): Promise<ChaosSystem> {
    const postgres = await ChaosPostgres.start()
    const folder = await mkdtemp(join(tmpdir(), 'answerback-chaos-spools-'))
    const port = await quietPort()
    const client = new SupervisedService({
      service: 'client-service',
      name: 'client',
      env: {
        HTTP_PORT: `${port}`,
        EMITTER_ENABLED: 'false',
        LATENCY_MIN_MS: `${CLIENT_LATENCY.minMs}`,
        LATENCY_MAX_MS: `${CLIENT_LATENCY.maxMs}`,
        ZIPKIN_URL: '',
      },
      root,
      readyPath: '/',
    })
    const access = new Access(() => system.urls)
    const replicas = await Promise.all(
      range(0, count).map(async (i): Promise<Replica> => {
        const name = `replica-${i}`
        const proxy = new TcpProxy(urlOfReplica(postgres.url, name))
        await proxy.start()
        const env = {
          ...SETTINGS,
          ACCESS_MODE: 'keys',
          ACCESS_SUPERUSER_KEYS: access.superuserKey,
          DATABASE_URL: proxy.url,
          CLIENT_SERVICE_URL: `http://127.0.0.1:${port}`,
          SPOOL_PATH: join(folder, `${name}.sqlite`),
        }
        return { proxy, service: new SupervisedService({ service: 'callback-service', name, env, root, readyPath: '/readyz' }) }
      }),
    )
    const system: ChaosSystem = new ChaosSystem({ postgres, replicas, client, access, folder })
    try {
      await migrate({ url: postgres.url })
      await postgres.use(db => db.query(witness()))
      await Promise.all([client.start(), ...replicas.map(({ service }) => service.start())])
      // The same client service under another address, with connections and a breaker of its own.
      await access.open(`http://localhost:${port}`)
      await system.#startAgents(`http://127.0.0.1:${port}`, root)
    } catch (error) {
      await system.stop()
      throw error
    }
    return system
  }

  /** The URL of each replica; undefined while it is down. */
  get urls(): (string | undefined)[] {
    return this.replicas.map(({ service }) => service.url)
  }

  /** The agent whose leases are always lost. */
  get strays(): Strays {
    return this.#strays as Strays
  }

  /** Resolves when a replica is ready, at the latest after `withinMs`. */
  async ready(withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs
    while (performance.now() < deadline && !(await this.#isAnyReady())) await sleep(20)
  }

  /** Counts the unfinished callbacks in the database and in the spools. @throws {Error} one of them cannot be read now */
  async unfinished(): Promise<number> {
    const spooled = await Promise.all(this.replicas.map(async ({ service }) => spooledBy(await service.running())))
    const { rows } = await this.postgres.use(db => db.query('SELECT count(*)::int AS count FROM callbacks WHERE finished_at IS NULL'))
    return spooled.reduce((sum, count) => sum + count, rows[0].count)
  }

  async stop(): Promise<void> {
    await this.postgres.thaw()
    await Promise.all(this.agents.map(stopAgent))
    await Promise.all([...this.replicas, { service: this.client }].map(({ service }) => service.stop()))
    await Promise.all(this.replicas.map(({ proxy }) => proxy.stop()))
    await this.postgres.stop()
    await rm(this.#folder, { recursive: true })
  }

  async #startAgents(clientUrl: string, root: string): Promise<void> {
    const urls = () => this.urls
    this.#strays = await Strays.start({ access: this.access, urls })
    for (const name of AGENTS) this.agents.push(await startAgent({ name, access: this.access, urls, clientUrl, root }))
  }

  async #isAnyReady(): Promise<boolean> {
    const asked = this.urls.map(url => fetch(`${url}/readyz`, { signal: AbortSignal.timeout(500) }).then(response => response.ok))
    return (await Promise.allSettled(asked)).some(answer => answer.status === 'fulfilled' && answer.value)
  }
}

async function spooledBy({ adminUrl }: { readonly adminUrl: string }): Promise<number> {
  return (await readMetrics(adminUrl)).total('spool_callbacks')
}
