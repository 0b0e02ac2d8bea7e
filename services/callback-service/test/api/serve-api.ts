import { once } from 'node:events'
import { connect } from 'node:net'
import { pino } from 'pino'
import { refuseForeignPages } from '#foundation/admin/guards.ts'
import { cors } from '#foundation/http/cors.ts'
import type { Gate, Route } from '#foundation/http/route.ts'
import { HttpServer } from '#foundation/http/server.ts'
import { Shutdown } from '#foundation/http/shutdown.ts'
import { httpTelemetry } from '#foundation/http/telemetry.ts'
import { WebSockets } from '#foundation/http/web-sockets.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { checkAnswers } from '../../../../test/support/check-answers.ts'
import { onlyDefault } from '../../../../test/support/only-default.ts'
import { documentOf } from '../../../../test/support/routes.ts'
import { callbackApp } from '../../api/app.ts'
import type { FindCallback } from '../../api/callbacks/get-callback.ts'
import type { ListCallbacks } from '../../api/callbacks/list-callbacks.ts'
import type { Inbox, Signature } from '../../api/callbacks/post-callback.ts'
import type { Waiters } from '../../api/callbacks/waiting.ts'
import { type AuthorizeOptions, authorize, type Directory } from '../../api/gates/authorize.ts'
import { callbacksFirst } from '../../api/gates/callbacks-first.ts'
import { setCaller } from '../../api/gates/caller-of.ts'
import { countRefusals } from '../../api/gates/count-refusals.ts'
import { type LimitOptions, limitRequests } from '../../api/gates/limit-requests.ts'
import { LimitUsages } from '../../api/gates/limit-usages.ts'
import { logChanges } from '../../api/gates/log-changes.ts'
import { refuseWhenFull } from '../../api/gates/refuse-when-full.ts'
import type { LedgerReader } from '../../api/ledger/get-ledger.ts'
import type { LedgerKeysReader } from '../../api/ledger/list-ledger-keys.ts'
import type { ObjectReader } from '../../api/objects/read-objects.ts'
import type { Operations } from '../../api/operations/operation-routes.ts'
import { callbackServiceRoutes, type RoutesOptions } from '../../api/routes.ts'
import type { StreamOptions } from '../../api/stream/get-stream.ts'
import type { AccessKeys } from '../../api/workspaces/key-routes.ts'
import type { Workspaces } from '../../api/workspaces/workspace-routes.ts'
import type { Caller } from '../../domain/workspaces/caller.ts'
import type { Workspace } from '../../domain/workspaces/workspace.ts'
import { inTurn } from '../../wiring/access.ts'

export const ACCEPTED_ID = '01890a5d-ac96-774b-bcce-b302099a8057'

export interface ApiDoubles {
  readonly inbox?: Inbox
  readonly findCallback?: FindCallback
  /** Default: `findCallback`. */
  readonly findAfterWait?: FindCallback
  readonly listCallbacks?: ListCallbacks
  readonly steering?: Partial<RoutesOptions['steering']>
  readonly objects?: ObjectReader
  readonly operations?: Operations
  readonly leasing?: Partial<RoutesOptions['leasing']>
  readonly leases?: Partial<RoutesOptions['leases']>
  readonly ledger?: Partial<LedgerReader & LedgerKeysReader>
  readonly sockets?: WebSockets
  readonly listen?: StreamOptions['listen']
  readonly workspaces?: Workspaces
  readonly keys?: AccessKeys
  readonly agents?: Partial<RoutesOptions['agents']>
  /** Who sends the requests. */
  readonly caller?: () => Caller
  readonly storageProblem?: () => string | undefined
  readonly signature?: Signature
  readonly signatureOf?: (workspace: Workspace) => Signature | undefined
  readonly directory?: Directory
  readonly access?: Partial<Pick<AuthorizeOptions, 'mode' | 'superuserKeys' | 'maxFailures' | 'databaseNowMs' | 'nowMs'>>
  readonly limits?: Partial<LimitOptions>
  readonly waiters?: Waiters
  /** Routes in addition to those of the service. */
  readonly moreRoutes?: readonly Route[]
  readonly maxBodyBytes?: number
  readonly drainMs?: number
  readonly corsOrigins?: string
  readonly logLevel?: string
  /** Where the spans go. Absent: nowhere. */
  readonly zipkinUrl?: string
}

const nobody = () => Promise.reject(new Error('this test has no workspaces'))
const NO_WORKSPACES: Workspaces = { find: nobody, list: nobody, create: nobody, change: nobody, archive: nobody, restore: nobody }
const NO_STEERING: RoutesOptions['steering'] = {
  change: async () => ({ found: undefined, callback: undefined }),
  retry: async () => ({ found: undefined, callback: undefined }),
  cancel: async () => undefined,
  flush: async () => true,
  timeline: async () => undefined,
}
const NO_OPERATIONS: Operations = { create: nobody, find: async () => undefined, list: async () => [], abort: async () => false }
const NO_LEDGER: LedgerReader & LedgerKeysReader = {
  read: async () => ({ mergedHours: [], live: [], gone: [], answers: [] }),
  list: async () => ({ keys: [], isComplete: true }),
  nowMs: Date.now,
  retentionMs: 86_400_000,
}
const NO_AGENTS: RoutesOptions['agents'] = {
  find: async () => undefined,
  list: async () => [],
  create: async () => undefined,
  change: async () => undefined,
  archive: async () => undefined,
  restore: async () => undefined,
  listCallbacks: async () => undefined,
  assign: async () => 'agent_not_found',
  takeAway: async () => false,
}
const NO_KEYS: AccessKeys = { create: nobody, list: nobody, delete: nobody }

/** The API on a real port, with literal objects where the database would be. */
export async function serveApi(doubles: ApiDoubles = {}) {
  const accepted: bigint[][] = []
  const outcomes: string[] = []
  const tookMs: (number | undefined)[] = []
  const measured: { method: string; route: string; status: number }[] = []
  const logged: string[] = []
  const logger = pino({ level: doubles.logLevel ?? 'info' }, { write: line => logged.push(line) })
  const inbox: Inbox = doubles.inbox ?? {
    waitSeconds: 0,
    accept: async callback => {
      accepted.push(callback.objectIds.map(BigInt))
      return { id: ACCEPTED_ID, receivedAt: new Date(0), isReplay: false, durability: 'database', forecast: undefined }
    },
  }
  const onReceived = (outcome: string, _workspace: string, took?: number): void => {
    outcomes.push(outcome)
    tookMs.push(took)
  }
  const observe = (labels: (typeof measured)[number]): void => void measured.push(labels)
  const shutdown = new Shutdown()
  const own = callbackServiceRoutes({
    accepting: {
      inbox,
      waiters: doubles.waiters ?? { take: () => undefined },
      signatureOf: doubles.signatureOf ?? (() => doubles.signature),
      isSigned: doubles.signature !== undefined,
      maxObjectIds: 1000,
      maxBodyBytes: doubles.maxBodyBytes ?? 65_536,
      shutdown,
      onReceived,
    },
    checks: [{ name: 'database', problem: doubles.storageProblem ?? (() => undefined) }],
    callbacks: {
      find: doubles.findCallback ?? (async () => undefined),
      findAfterWait: doubles.findAfterWait ?? doubles.findCallback ?? (async () => undefined),
      list: doubles.listCallbacks ?? (async () => []),
    },
    steering: { ...NO_STEERING, ...doubles.steering },
    stream: {
      sockets: doubles.sockets ?? new WebSockets({ max: 10 }),
      listen: doubles.listen ?? (() => () => undefined),
      hasWorkspace: () => true,
      origins: doubles.corsOrigins ?? '',
    },
    objects: doubles.objects ?? { find: async () => undefined, list: async () => [] },
    operations: doubles.operations ?? NO_OPERATIONS,
    leasing: {
      agents: { agent: () => undefined, refresh: async () => undefined },
      desk: { take: () => 'overloaded' },
      onSeen: () => undefined,
      ...doubles.leasing,
    },
    leases: { renew: nobody, deliver: nobody, end: nobody, ...doubles.leases },
    ledger: { ...NO_LEDGER, ...doubles.ledger },
    workspaces: doubles.workspaces ?? NO_WORKSPACES,
    keys: doubles.keys ?? NO_KEYS,
    agents: { ...NO_AGENTS, ...doubles.agents },
    isAllowedUrl: url => url.hostname !== '169.254.169.254',
    isOpen: doubles.access?.mode !== 'keys',
  })
  const routes = [...own, ...(doubles.moreRoutes ?? [])]
  const nowMs = () => performance.now()
  const authorized = authorize({
    directory: doubles.directory ?? onlyDefault,
    mode: 'open',
    superuserKeys: [],
    maxFailures: 60,
    refuseForeignPages: refuseForeignPages(''),
    databaseNowMs: Date.now,
    nowMs,
    ...doubles.access,
  })
  const limited = limitRequests({ usages: new LimitUsages(), replicas: () => 1, waitSeconds: () => 0, nowMs, ...doubles.limits })
  const admitted: Gate = (request, _response, route) => (doubles.caller ? setCaller(request, doubles.caller()) : authorized(request, route))
  const app = callbackApp({
    telemetry: httpTelemetry({ logger, observe, isTraced: () => true }),
    routes,
    gate: inTurn(admitted, inTurn(limited, logChanges(logger))),
    onReceived,
    logger,
  })
  const server = new HttpServer({
    name: 'test',
    port: 0,
    host: '127.0.0.1',
    logger,
    hasWebSockets: true,
    drainMs: doubles.drainMs ?? 0,
    shutdown,
    handler: callbacksFirst(cors(doubles.corsOrigins ?? '', refuseWhenFull({ inbox, onReceived, observe, otherwise: app }))),
    onRefused: countRefusals(observe, onReceived),
  })
  const telemetry = new Telemetry({ serviceName: 'test', zipkinUrl: doubles.zipkinUrl ?? '', sampleRatio: 1, logger })
  telemetry.start()
  if (doubles.zipkinUrl) await telemetry.sending.start()
  await server.start()
  const url = `http://127.0.0.1:${server.port}`
  const forget = checkAnswers(url, await documentOf(routes))
  const stop = async (): Promise<void> => {
    forget()
    await server.stop()
    await telemetry.stop()
  }
  return { server, url, routes, accepted, outcomes, tookMs, measured, logged, stop }
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: string
  readonly tookMs: number
}

/** Writes bytes to the port as they are, and reads until the server closes or `until` is seen. */
export async function sendRaw(port: number, chunks: readonly (string | Buffer)[], until?: RegExp): Promise<RawAnswer> {
  const started = performance.now()
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8').on('data', chunk => {
    text += chunk
    if (until?.test(text)) socket.end()
  })
  socket.on('error', () => socket.destroy())
  await once(socket, 'connect')
  for (const chunk of chunks) socket.write(chunk)
  await once(socket, 'close')
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [statusLine = '', ...lines] = head.split('\r\n')
  return {
    status: Number(statusLine.split(' ')[1]),
    headers: new Headers(
      lines.map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as [string, string]),
    ),
    body: rest.join('\r\n\r\n'),
    tookMs: performance.now() - started,
  }
}
