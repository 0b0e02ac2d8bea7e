import { hostname } from 'node:os'
import type { Gate, Route } from '#foundation/http/route.ts'
import { adminGate, newPageToken } from '../api/gates/page-token.ts'
import { pageRoutes } from '../api/page/page-routes.ts'
import type { Config } from '../config.ts'

/** Joins the live page: its files, and the routes of the port for senders that it uses at the admin port. */
export function livePage(options: {
  readonly config: Config
  /** The routes of the port for senders. */
  readonly routes: readonly Route[]
  /** Finds out who may use those that need a caller. */
  readonly keyed: Gate
  readonly isOpen: boolean
}): { readonly routes: readonly Route[]; readonly mounted: readonly Route[]; readonly gate: Gate } {
  const { config, routes, keyed, isOpen } = options
  const token = newPageToken()
  return {
    routes: pageRoutes({
      token,
      needsKey: !isOpen,
      traceUrl: traceUrlOf(config),
      hasSwitches: false,
      process: { host: hostname(), pid: process.pid, startedAt: new Date() },
    }),
    mounted: routes.filter(({ access }) => access !== 'public'),
    gate: adminGate(token, keyed),
  }
}

/** Zipkin shows a trace on the port that receives its spans. */
function traceUrlOf({ tracing }: Config): string | null {
  if (tracing.exporter !== 'zipkin' || tracing.zipkinUrl === '') return null
  return `${new URL('/zipkin/traces/', tracing.zipkinUrl).href}{trace_id}`
}
