import { hostname } from 'node:os'
import type { Gate, Route } from '#foundation/http/route.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { SwitchClient } from '../adapters/client-service/switch-client.ts'
import { countCallbackProblems } from '../api/gates/count-refusals.ts'
import { adminGate, newPageToken } from '../api/gates/page-token.ts'
import { readLimit } from '../api/gates/read-limit.ts'
import { pageRoutes } from '../api/page/page-routes.ts'
import { switchRoutes } from '../api/page/switch-routes.ts'
import { type Config, servesPage } from '../config.ts'

/** Time for a request to the admin port of the client service. Whoever presses a switch waits for it. */
const SWITCH_TIMEOUT_MS = 3000
const MAX_SWITCH_REQUESTS = 16

/** Joins the live page: its files, its switches, and the routes of the port for senders that it uses at the admin port. */
export function livePage(options: {
  readonly config: Config
  /** The routes of the port for senders. */
  readonly routes: readonly Route[]
  /** Routes that only the page needs. */
  readonly more: readonly Route[]
  /** Finds out who may use those that need a caller. */
  readonly keyed: Gate
  readonly isOpen: boolean
  /** Called for each callback that the service does not accept, with the code of the problem and the workspace. */
  readonly onReceived: (outcome: string, workspace: string) => void
}): { readonly parts: readonly Part[]; readonly admin: ReturnType<typeof adminOptions> } {
  const { config, isOpen } = options
  if (!servesPage(config, isOpen)) return { parts: [], admin: { ...adminOptions(options), routes: [], mounted: [] } }
  const switches = config.clientService.adminUrl
    ? new SwitchClient({ url: config.clientService.adminUrl, timeoutMs: SWITCH_TIMEOUT_MS })
    : undefined
  return { parts: switches ? [switches] : [], admin: adminOptions(options, switches) }
}

function adminOptions({ config, routes, more, keyed, isOpen, onReceived }: Parameters<typeof livePage>[0], switches?: SwitchClient) {
  const token = newPageToken()
  const limited = readLimit(MAX_SWITCH_REQUESTS)
  const own = pageRoutes({
    token,
    needsKey: !isOpen,
    traceUrl: traceUrlOf(config),
    hasSwitches: switches !== undefined,
    senderPort: config.http.port,
    process: { host: hostname(), pid: process.pid, startedAt: new Date() },
  })
  const bounded = switches && {
    read: () => limited(() => switches.read()),
    change: (changes: object) => limited(() => switches.change(changes)),
  }
  return {
    routes: [...own, ...more, ...(bounded ? switchRoutes(bounded) : [])],
    mounted: routes.filter(({ access }) => access !== 'public'),
    gate: adminGate(token, keyed),
    doors: ['/'],
    // Its trace begins with the POST, as at the port for senders. What the page asks for every second has none.
    isTraced: (path: string) => path === '/callback',
    onProblem: countCallbackProblems(onReceived),
  }
}

/** Zipkin shows a trace on the port that receives its spans, unless a proxy stands before it. */
function traceUrlOf({ tracing: { exporter, zipkinUrl, uiUrl } }: Config): string | null {
  if (exporter === 'none') return null
  if (uiUrl !== '') return `${uiUrl.replace(/\/+$/, '')}/traces/{trace_id}`
  return exporter === 'zipkin' && zipkinUrl !== '' ? `${new URL('/zipkin/traces/', zipkinUrl).href}{trace_id}` : null
}
