import { baseSettings } from '#foundation/config/base-settings.ts'
import { type Schema, setting, type Values } from '#foundation/config/schema.ts'
import { SIGNATURE_WINDOW_SECONDS } from './domain/accepting/signature-window.ts'
import { MIN_GUILTY_CRASHES } from './domain/processing/suspicion.ts'

const base = baseSettings({ httpPort: 9090, adminPort: 6060 })

/** All settings of the callback service. Printed by `--help`, listed in docs/configuration.md. */
export const schema = {
  ...base,
  http: {
    ...base.http,
    corsOrigins: setting<string>({
      doc: 'Origins whose pages may call the service from a browser, such as https://app.example, separated by spaces; empty: none.',
      format: 'origins',
      default: '',
    }),
  },
  database: {
    url: setting<string>({ doc: 'The PostgreSQL database, as a postgresql:// URL.', format: 'postgres-url', default: null, secret: true }),
    sessionUrl: setting<string>({
      doc: 'Where database.url leads to a pooler: the address of a server or pool that keeps sessions, for the worker lock and migrations; empty: database.url.',
      format: 'optional-postgres-url',
      default: '',
      secret: true,
    }),
    acceptConnections: setting<number>({ doc: 'Connections kept for accepting callbacks.', format: 'count', default: 2 }),
    workConnections: setting<number>({ doc: 'Connections for everything else.', format: 'count', default: 6 }),
    readConnections: setting<number>({ doc: 'Connections kept for reads: GET /v1/...', format: 'count', default: 2 }),
  },
  read: {
    maxRunning: setting<number>({ doc: 'Reads under way at once: GET /v1/...; more get 503.', format: 'count', default: 128 }),
    timeoutMs: setting<number>({
      doc: 'Longest time a read waits for a connection, and then for its answer, in milliseconds; beyond it gets 503.',
      format: 'count',
      default: 5000,
    }),
  },
  migrate: {
    onStart: setting<boolean>({ doc: 'Whether the service migrates the database when it starts.', format: 'switch', default: false }),
  },
  accept: {
    maxObjectIds: setting<number>({ doc: 'Ids a callback may name.', format: 'count', default: 1000 }),
    maxBodyBytes: setting<number>({ doc: 'Bytes a callback may have.', format: 'count', default: 65_536 }),
    maxBatch: setting<number>({ doc: 'Callbacks that share one commit.', format: 'count', default: 256 }),
    maxCommits: setting<number>({
      doc: 'Commits under way at once; more are smaller ones, and cost more than they save.',
      format: 'count',
      default: 1,
    }),
    maxWaiting: setting<number>({ doc: 'Callbacks that may wait for a commit; more get 503.', format: 'count', default: 5000 }),
    timeoutMs: setting<number>({ doc: 'A callback not committed within so many milliseconds gets 503.', format: 'count', default: 1500 }),
  },
  senders: {
    secrets: setting<string>({
      doc: 'Secrets of senders, separated by spaces (Standard Webhooks: `whsec_` and base64); when any is set, unsigned callbacks get 401.',
      format: 'webhook-secrets',
      default: '',
      secret: true,
    }),
  },
  spool: {
    path: setting<string>({
      doc: 'File that keeps callbacks on this machine while the database cannot take them; empty: they get 503.',
      format: 'text',
      default: '',
    }),
    maxBytes: setting<number>({
      doc: 'Bytes of callbacks the spool may hold; beyond them callbacks get 503. The journal beside it takes up to 20 MB more.',
      format: 'count',
      default: 1_073_741_824,
    }),
    patienceMs: setting<number>({
      doc: 'A callback that the database has not committed within so many milliseconds goes to the spool.',
      format: 'count',
      default: 300,
    }),
    keepsReady: setting<boolean>({
      doc: 'Whether the service is ready while the database is away and the spool has room: for balancers that send nowhere when none is.',
      format: 'switch',
      default: false,
    }),
  },
  inbox: {
    maxBacklog: setting<number>({
      doc: 'Callbacks that may be unfinished, in the whole database; more get 503. Counted every few seconds.',
      format: 'count',
      default: 1_000_000,
    }),
  },
  clientService: {
    url: setting<string>({
      doc: 'Where the client service is. Objects are asked for at /objects/:id below it.',
      format: 'http-url',
      default: 'http://127.0.0.1:9010',
    }),
    keepAliveMs: setting<number>({
      doc: 'Time after which an idle connection to the client service is closed, in milliseconds. The client service may ask for less.',
      format: 'count',
      default: 10_000,
    }),
    maxBaggageBytes: setting<number>({
      doc: 'Bytes of baggage that a request to the client service carries. Members of the list that do not fit are dropped.',
      format: 'integer',
      default: 4096,
    }),
  },
  fetch: {
    concurrency: setting<number>({
      doc: 'Requests to the client service under way at once, in this process.',
      format: 'count',
      default: 512,
      hot: true,
    }),
    timeoutMs: setting<number>({
      doc: 'A request to the client service is given up after so many milliseconds, answer and body.',
      format: 'count',
      default: 6000,
      hot: true,
    }),
    maxTries: setting<number>({ doc: 'Requests an object gets in one attempt of its callback.', format: 'count', default: 3 }),
    retryBaseMs: setting<number>({
      doc: 'Longest wait before the second request for an object; doubles for the next.',
      format: 'count',
      default: 200,
    }),
    maxHoldMs: setting<number>({
      doc: 'How long a request waits for a silent client service before its callback goes back to the inbox.',
      format: 'integer',
      default: 2000,
    }),
    maxRetryAfterMs: setting<number>({ doc: 'The longest Retry-After that is honoured.', format: 'count', default: 60_000 }),
    breakerObjects: setting<number>({
      doc: 'Different objects that must fail, with no answer in between, before the service suspects the client service itself.',
      format: 'count',
      default: 5,
    }),
    breakerOpenMs: setting<number>({
      doc: 'Milliseconds between two probes of a client service that is down. The interval doubles with each probe.',
      format: 'count',
      default: 1000,
    }),
    breakerMaxOpenMs: setting<number>({
      doc: 'Longest interval between two probes of a client service that is down, in milliseconds.',
      format: 'count',
      default: 1000,
    }),
  },
  process: {
    maxAttempts: setting<number>({ doc: 'Attempts after which a callback is failed.', format: 'count', default: 10 }),
    maxCrashes: setting<number>({
      doc: 'Crashes of its process after which a callback is failed; in the last of them it ran alone. At least 6.',
      format: 'count',
      default: 7,
    }),
    probationMs: setting<number>({
      doc: 'Time a process must have lived before it works on a callback that was in three crashes; doubles with each further crash, up to 16 times.',
      format: 'count',
      default: 5000,
    }),
    maxRunning: setting<number>({ doc: 'Callbacks one process works on at once.', format: 'count', default: 1000 }),
    retryBaseMs: setting<number>({
      doc: 'Longest wait before the second attempt of a callback; doubles with each.',
      format: 'count',
      default: 1000,
    }),
    retryMaxMs: setting<number>({ doc: 'The longest it gets.', format: 'count', default: 60_000 }),
    pollMs: setting<number>({
      doc: 'How often the inbox is looked at for callbacks that are due or that another process accepted.',
      format: 'count',
      default: 250,
    }),
  },
  claims: {
    leaseMs: setting<number>({
      doc: 'A process that has not renewed its lease for so long is taken for dead; renewed three times as often.',
      format: 'count',
      default: 15_000,
    }),
    takeOverMs: setting<number>({ doc: 'How often is looked for callbacks whose process died.', format: 'count', default: 200 }),
  },
  objects: {
    keepOffline: setting<boolean>({
      doc: 'Whether readers see objects that are offline. If not, an object disappears as soon as it is seen offline.',
      format: 'switch',
      default: true,
    }),
  },
  expiry: {
    ttlSeconds: setting<number>({
      doc: 'An object is deleted so many seconds after it was last stored; a change holds for objects stored from then on.',
      format: 'seconds',
      default: 30,
      hot: true,
    }),
  },
  callbacks: {
    retentionSeconds: setting<number>({
      doc: 'A finished callback, and its idempotency key, is forgotten after so many seconds.',
      format: 'seconds',
      default: 3600,
    }),
  },
} as const satisfies Schema

export type Config = Values<typeof schema>

/** The address of what needs a session of its own. */
export function sessionUrlOf({ database }: Config): string {
  return database.sessionUrl || database.url
}

/** What may be meant, and has a price: a sentence each. */
export function warningsAbout({ expiry, fetch }: Config): string[] {
  const isShortLived = expiry.ttlSeconds * 1000 < fetch.timeoutMs
  return isShortLived ? ['expiry.ttlSeconds is below fetch.timeoutMs: a slow answer can bring back an object that has expired'] : []
}

/** What two settings say against each other; undefined when they agree. */
export function contradictionIn(config: Config): string | undefined {
  const { accept, callbacks, clientService, database, fetch, process, senders, shutdown, spool } = config
  if (accept.timeoutMs > 2000) return 'accept.timeoutMs is over 2000: a sender is to hear within 2 seconds that its callback is not stored'
  if (spool.patienceMs >= accept.timeoutMs) return 'spool.patienceMs leaves nothing of accept.timeoutMs'
  if (accept.maxCommits > database.acceptConnections) return 'accept.maxCommits is above database.acceptConnections'
  if (/[?#]/.test(clientService.url))
    return 'clientService.url has a query or a fragment: it must end with the path below which /objects is'
  if (fetch.breakerOpenMs > fetch.breakerMaxOpenMs) return 'fetch.breakerOpenMs is above fetch.breakerMaxOpenMs'
  if (process.maxCrashes < MIN_GUILTY_CRASHES)
    return `process.maxCrashes is below ${MIN_GUILTY_CRASHES}: innocent callbacks would be failed`
  if (process.retryBaseMs > process.retryMaxMs) return 'process.retryBaseMs is above process.retryMaxMs'
  if (senders.secrets !== '' && callbacks.retentionSeconds < SIGNATURE_WINDOW_SECONDS)
    return `callbacks.retentionSeconds is below ${SIGNATURE_WINDOW_SECONDS} while senders.secrets is set: a signed callback could be sent again and be accepted anew`
  if (shutdown.delayMs >= shutdown.timeoutMs) return 'shutdown.delayMs leaves nothing of shutdown.timeoutMs'
  return undefined
}
