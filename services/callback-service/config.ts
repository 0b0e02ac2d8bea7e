import { clientServiceSettings, fetchSettings } from '#fetching/client/settings.ts'
import { baseSettings } from '#foundation/config/base-settings.ts'
import { type Schema, setting, type Values } from '#foundation/config/schema.ts'

const ACCESS_MODES = ['open', 'keys'] as const

export type AccessMode = (typeof ACCESS_MODES)[number]

const DURABILITIES = ['full', 'none'] as const

const PAGE_MODES = ['auto', 'on', 'off'] as const

const base = baseSettings({ httpPort: 9090, adminPort: 6060 })
const { url, ...connectionsToClientService } = clientServiceSettings
const { concurrency, ...fetches } = fetchSettings

/** All settings of the callback service. Printed by `--help`, listed in docs/configuration.md. */
export const schema = {
  ...base,
  http: {
    ...base.http,
    corsOrigins: setting<string>({
      doc: 'Origins whose pages may call the service from a browser, separated by spaces, such as https://app.example. Empty: none.',
      format: 'origins',
      default: '',
    }),
  },
  admin: {
    ...base.admin,
    page: setting<(typeof PAGE_MODES)[number]>({
      doc: 'Whether the admin port serves the live page, and the routes that the page uses. auto: if admin.host is loopback, or callers need a key.',
      format: PAGE_MODES,
      default: 'auto',
    }),
  },
  tracing: {
    ...base.tracing,
    uiUrl: setting<string>({
      doc: 'URL of the user interface of Zipkin, as browsers reach it, such as https://zipkin.example/zipkin. Empty: /zipkin at the host of tracing.zipkinUrl.',
      format: 'optional-http-url',
      default: '',
    }),
  },
  database: {
    url: setting<string>({
      doc: 'PostgreSQL database of the service, as a postgresql:// URL.',
      format: 'postgres-url',
      default: null,
      secret: true,
    }),
    sessionUrl: setting<string>({
      doc: 'PostgreSQL URL for the worker lock and migrations, which need sessions. Set it if database.url leads to a pooler. Empty: database.url.',
      format: 'optional-postgres-url',
      default: '',
      secret: true,
    }),
    durability: setting<(typeof DURABILITIES)[number]>({
      doc: 'full: the service keeps what it accepts. none: it keeps nothing, for demonstrations and tests. It then refuses every database that does not say so itself.',
      format: DURABILITIES,
      default: 'full',
    }),
    acceptConnections: setting<number>({
      doc: 'Maximum number of database connections for accepting callbacks. Nothing else uses them.',
      format: 'count',
      default: 2,
    }),
    workConnections: setting<number>({
      doc: 'Maximum number of database connections for background work, such as claiming, storing and expiring.',
      format: 'count',
      default: 6,
    }),
    readConnections: setting<number>({
      doc: 'Maximum number of database connections for reads (GET /v1/...). Nothing else uses them.',
      format: 'count',
      default: 2,
    }),
  },
  read: {
    maxRunning: setting<number>({
      doc: 'Maximum number of reads (GET /v1/...) at a time. Further reads get 503.',
      format: 'count',
      default: 128,
    }),
    timeoutMs: setting<number>({
      doc: 'Maximum time a read waits for a database connection, and again for its result, in milliseconds. After that it gets 503.',
      format: 'count',
      default: 5000,
    }),
  },
  migrate: {
    onStart: setting<boolean>({ doc: 'Whether the service migrates the database when it starts.', format: 'switch', default: false }),
  },
  accept: {
    maxObjectIds: setting<number>({
      doc: 'Maximum number of ids in a callback. A callback with more gets 422.',
      format: 'count',
      default: 1000,
    }),
    maxBodyBytes: setting<number>({
      doc: 'Maximum size of the body of a callback, in bytes. A larger body gets 413.',
      format: 'count',
      default: 65_536,
    }),
    maxBatch: setting<number>({ doc: 'Maximum number of callbacks in one commit.', format: 'count', default: 256 }),
    maxCommits: setting<number>({
      doc: 'Maximum number of accept commits at a time. A higher number makes each commit smaller and the total cost higher.',
      format: 'count',
      default: 1,
    }),
    maxWaiting: setting<number>({
      doc: 'Maximum number of callbacks that wait for a commit. Further callbacks get 503.',
      format: 'count',
      default: 5000,
    }),
    maxWaiters: setting<number>({
      doc: 'Maximum number of requests that wait for the end of a callback (Prefer: wait, ?wait=). Further ones get their answer at once.',
      format: 'count',
      default: 1000,
    }),
    timeoutMs: setting<number>({
      doc: 'Maximum time a callback waits for its commit, in milliseconds. After that it gets 503. At most 2000.',
      format: 'count',
      default: 1500,
    }),
  },
  access: {
    mode: setting<AccessMode>({
      doc: 'open: callers need no key and may do everything, unless access.superuserKeys is set. keys: every caller needs a key.',
      format: ACCESS_MODES,
      default: 'open',
    }),
    superuserKeys: setting<string>({
      doc: 'Keys that may do everything in every workspace, separated by spaces, each of 32 to 512 characters. If set, every caller needs a key.',
      format: 'access-keys',
      default: '',
      secret: true,
    }),
    maxFailures: setting<number>({
      doc: 'Maximum number of unknown keys from one address in a minute. Further ones get 429. Known keys always work.',
      format: 'count',
      default: 60,
    }),
  },
  senders: {
    secrets: setting<string>({
      doc: 'Secrets of the senders, separated by spaces (Standard Webhooks: `whsec_` and base64). If set, unsigned callbacks get 401. Empty: no signature is checked.',
      format: 'webhook-secrets',
      default: '',
      secret: true,
    }),
  },
  workspaces: {
    max: setting<number>({
      doc: 'Maximum number of workspaces, archived ones included. Each replica keeps all of them in memory.',
      format: 'count',
      default: 1000,
    }),
    maxClientServices: setting<number>({
      doc: 'Maximum number of different client services that workspaces have, besides that of clientService.url.',
      format: 'count',
      default: 100,
    }),
  },
  spool: {
    path: setting<string>({
      doc: 'File that keeps callbacks on this machine while the database cannot take them. Empty: there is no spool, and such callbacks get 503.',
      format: 'text',
      default: '',
    }),
    maxBytes: setting<number>({
      doc: 'Maximum size of the callbacks in the spool, in bytes. Beyond it, callbacks get 503. The journal of the spool takes up to 20 MB more.',
      format: 'count',
      default: 1_073_741_824,
    }),
    patienceMs: setting<number>({
      doc: 'Maximum time a callback waits for the database before it goes to the spool, in milliseconds. Without a spool it has no effect.',
      format: 'count',
      default: 300,
    }),
    keepsReady: setting<boolean>({
      doc: 'Whether the service stays ready while the database is away and the spool has room. Turn it on if your balancer drops requests when no replica is ready.',
      format: 'switch',
      default: false,
    }),
  },
  inbox: {
    maxBacklog: setting<number>({
      doc: 'Maximum number of unfinished callbacks in the whole database. Beyond it, callbacks get 503. The service counts them every few seconds.',
      format: 'count',
      default: 1_000_000,
    }),
  },
  clientService: {
    url,
    adminUrl: setting<string>({
      doc: 'URL of the admin port of the client service. The live page reaches its fault switches there. Empty: the page shows no switches.',
      format: 'optional-http-url',
      default: '',
    }),
    ...connectionsToClientService,
  },
  fetch: {
    concurrency,
    reserve: setting<number>({
      doc: 'Number of requests beyond fetch.concurrency while it is used up, for workspaces with few requests under way. 0: none.',
      format: 'integer',
      default: 64,
    }),
    ...fetches,
  },
  process: {
    maxAttempts: setting<number>({
      doc: 'Maximum number of attempts of a callback. After the last one the callback fails.',
      format: 'count',
      default: 10,
    }),
    maxCrashes: setting<number>({
      doc: 'Number of process crashes after which a callback fails. The callback ran alone in the last one. At least 6.',
      format: 'count',
      default: 7,
    }),
    probationMs: setting<number>({
      doc: 'Minimum age of a process that works on a callback with three crashes, in milliseconds. It doubles with each further crash, up to 16 times the value.',
      format: 'count',
      default: 5000,
    }),
    maxRunning: setting<number>({
      doc: 'Maximum number of callbacks that one process works on at a time.',
      format: 'count',
      default: 1000,
    }),
    retryBaseMs: setting<number>({
      doc: 'Maximum wait before the second attempt of a callback, in milliseconds. It doubles before each further attempt, up to process.retryMaxMs.',
      format: 'count',
      default: 1000,
    }),
    retryMaxMs: setting<number>({
      doc: 'Maximum wait between two attempts of a callback, in milliseconds.',
      format: 'count',
      default: 60_000,
    }),
    pollMs: setting<number>({
      doc: 'Interval at which the service looks for callbacks that are due or that another replica accepted, in milliseconds.',
      format: 'count',
      default: 250,
    }),
  },
  claims: {
    leaseMs: setting<number>({
      doc: 'Time after which a worker that has not renewed its lease counts as dead, in milliseconds. Workers renew it three times in that time.',
      format: 'count',
      default: 15_000,
    }),
    takeOverMs: setting<number>({
      doc: 'Interval at which the service looks for dead workers and releases their callbacks, in milliseconds.',
      format: 'count',
      default: 200,
    }),
  },
  agents: {
    leaseSeconds: setting<number>({
      doc: 'Time after which a lease of an agent ends if the agent does not use it, in seconds.',
      format: 'seconds',
      default: 30,
    }),
    maxPolls: setting<number>({
      doc: 'Maximum number of requests of agents that wait for a lease, and at most half of http.maxConnections. Further ones get 503.',
      format: 'count',
      default: 5000,
    }),
  },
  objects: {
    keepOffline: setting<boolean>({
      doc: 'Whether readers see objects that are offline. If false, an object disappears as soon as a fetch finds it offline.',
      format: 'switch',
      default: true,
    }),
  },
  stream: {
    maxClients: setting<number>({
      doc: 'Maximum number of open streams (GET /v1/stream), and at most half of http.maxConnections. Further ones get 503.',
      format: 'count',
      default: 1000,
    }),
  },
  expiry: {
    ttlSeconds: setting<number>({
      doc: 'Time from storing an object to deleting it, in seconds. A change applies to objects stored after it.',
      format: 'seconds',
      default: 30,
      hot: true,
    }),
  },
  callbacks: {
    retentionSeconds: setting<number>({
      doc: 'Minimum time the service keeps a finished callback and its idempotency key, in seconds. At least 600 if senders.secrets is set. It counts as 600 if it is less and a workspace has signing secrets.',
      format: 'seconds',
      default: 3600,
    }),
  },
  operations: {
    ratePerSecond: setting<number>({
      doc: 'Callbacks that an operation changes a second, over all replicas, unless it names another rate.',
      format: 'count',
      default: 50,
    }),
    retentionSeconds: setting<number>({
      doc: 'Minimum time the service keeps an operation that has ended, and its idempotency key, in seconds.',
      format: 'seconds',
      default: 604_800,
    }),
  },
  ledger: {
    retentionDays: setting<number>({
      doc: 'Time the ledger remembers an hour after its callbacks are gone, in days from that hour on.',
      format: 'count',
      default: 30,
    }),
  },
} as const satisfies Schema

export type Config = Values<typeof schema>

/** The keys of superusers. */
export function superuserKeysOf({ access }: Config): readonly string[] {
  return access.superuserKeys.split(/\s+/).filter(Boolean)
}

/** The file of the spool; empty if there is none. A service that keeps nothing must not move callbacks of another one into its database. */
export function spoolPathOf({ database, spool }: Config): string {
  return spool.path !== '' && database.durability === 'none' ? `${spool.path}.unkept` : spool.path
}

/** The database URL for connections that need a session of their own. */
export function sessionUrlOf({ database }: Config): string {
  return database.sessionUrl || database.url
}

/** Whether the admin port serves the live page. @param isOpen whether callers need no key */
export function servesPage({ admin }: Config, isOpen: boolean): boolean {
  return admin.page === 'auto' ? !isOpen || isLoopback(admin.host) : admin.page === 'on'
}

export function isLoopback(host: string): boolean {
  return /^(127(\.\d{1,3}){3}|::1|localhost)$/i.test(host)
}
