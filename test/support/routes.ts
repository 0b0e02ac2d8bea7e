import assert from 'node:assert/strict'
import { pino } from 'pino'
import { adminRoutes } from '#foundation/admin/server.ts'
import { Settings } from '#foundation/config/settings.ts'
import type { Route } from '#foundation/http/route.ts'
import { WebSockets } from '#foundation/http/web-sockets.ts'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { getActivity } from '../../services/callback-service/api/activity/get-activity.ts'
import { getFetches } from '../../services/callback-service/api/callbacks/get-fetches.ts'
import { setAsideRoutes } from '../../services/callback-service/api/callbacks/set-aside.ts'
import { pageRoutes } from '../../services/callback-service/api/page/page-routes.ts'
import { switchRoutes } from '../../services/callback-service/api/page/switch-routes.ts'
import { PROBLEMS } from '../../services/callback-service/api/problem-kinds.ts'
import { callbackServiceRoutes } from '../../services/callback-service/api/routes.ts'
import { getTraffic } from '../../services/callback-service/api/traffic/get-traffic.ts'
import { schema } from '../../services/callback-service/config.ts'
import { HeldAnswers } from '../../services/client-service/api/held-answers.ts'
import { clientServiceRoutes } from '../../services/client-service/api/routes.ts'

/** Returns the routes of the callback service, to read their descriptions. There is no service behind them. */
export function callbackPortRoutes(): readonly Route[] {
  const nobody = () => Promise.reject(new Error('there is no service behind this route'))
  return callbackServiceRoutes({
    accepting: {
      inbox: { waitSeconds: 0, accept: nobody },
      waiters: { take: () => undefined },
      maxObjectIds: 1000,
      maxBodyBytes: 65_536,
      shutdown: { isClosed: false },
      onReceived: () => undefined,
      signatureOf: () => undefined,
      isSigned: false,
    },
    checks: [],
    isOpen: true,
    callbacks: { find: nobody, findAfterWait: nobody, list: nobody },
    steering: { change: nobody, retry: nobody, cancel: nobody, flush: nobody, timeline: nobody },
    objects: { find: nobody, list: nobody },
    operations: { create: nobody, find: nobody, list: nobody, abort: nobody },
    leasing: {
      agents: { agent: () => undefined, refresh: async () => undefined },
      desk: { take: () => 'overloaded' },
      onSeen: () => undefined,
    },
    leases: { renew: nobody, deliver: nobody, end: nobody },
    ledger: { read: nobody, list: nobody, nowMs: Date.now, retentionMs: 0 },
    stream: { sockets: new WebSockets({ max: 0 }), listen: () => () => undefined, hasWorkspace: () => true, origins: '' },
    workspaces: { find: nobody, list: nobody, create: nobody, change: nobody, archive: nobody, restore: nobody },
    keys: { create: nobody, list: nobody, delete: nobody },
    agents: {
      ...{ find: nobody, list: nobody, create: nobody, change: nobody, archive: nobody, restore: nobody },
      ...{ listCallbacks: nobody, assign: nobody, takeAway: nobody },
    },
    isAllowedUrl: () => true,
  })
}

/** Returns the routes of the callback service's admin port, with a spool. There is no service behind them. */
export function adminPortRoutes(): readonly Route[] {
  const nobody = () => Promise.reject(new Error('there is no service behind this route'))
  const nothing = () => assert.fail('there is no service behind this route')
  const logger = pino({ level: 'silent' })
  return adminRoutes({
    registry: createRegistry(),
    settings: new Settings(schema, { argv: [], env: { DATABASE_URL: 'postgresql://a' } }),
    logger,
    routes: [
      ...setAsideRoutes({ aside: nobody, putBack: nobody, drop: nobody }, logger),
      getTraffic(nobody),
      ...pageRoutes(NO_SESSION),
      getActivity(nothing),
      getFetches({ find: nobody, fetches: { of: nothing }, databaseAt: nothing, replica: nothing }),
      ...switchRoutes({ read: nobody, change: nobody }),
    ],
    kinds: PROBLEMS,
  })
}

const NO_SESSION = {
  token: '',
  needsKey: false,
  traceUrl: null,
  hasSwitches: false,
  senderPort: 9090,
  process: { host: 'replica-1', pid: 1, startedAt: new Date(0) },
}

/** Returns the routes of the client service, to read their descriptions. There is no service behind them. */
export function clientPortRoutes(): readonly Route[] {
  return clientServiceRoutes({
    behaviour: () => assert.fail('there is no service behind this route'),
    held: new HeldAnswers(),
    random: Math.random,
    onAnswer: () => undefined,
    checks: [],
  })
}

/** Returns the OpenAPI document of these routes, as `GET /v1/openapi.json` gives it. */
export async function documentOf(routes: readonly Route[]): Promise<object> {
  const route = routes.find(({ path }) => path === '/v1/openapi.json')
  const answer = await route?.answer({} as never, {} as never)
  return JSON.parse(String(answer?.body)) as object
}
