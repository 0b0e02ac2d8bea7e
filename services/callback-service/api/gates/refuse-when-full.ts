import type { RequestListener } from 'node:http'
import { problemBody } from '#foundation/http/problems.ts'
import { bareIds, type ObserveRequest } from '#foundation/http/telemetry.ts'
import { context } from '#foundation/telemetry/tracing.ts'
import { overloaded, PROBLEMS } from '../problems.ts'

const LABELS = { method: 'POST', route: '/callback', status: PROBLEMS.overloaded.status }

/**
 * Refuses callbacks that the inbox has no room for before the app sees them: without a span, a route or the body. By the way of the app, which a
 * query in the URL takes, a refusal costs more than twice as much, and there are most of them when time is scarcest.
 */
export function refuseWhenFull(options: {
  readonly inbox: { readonly waitSeconds: number }
  readonly onReceived: (outcome: string) => void
  readonly observe: ObserveRequest
  readonly otherwise: RequestListener
}): RequestListener {
  const { inbox, onReceived, observe, otherwise } = options
  return (request, response) => {
    const { waitSeconds } = inbox
    if (waitSeconds === 0 || request.url !== '/callback' || request.method !== 'POST') {
      otherwise(request, response)
      return
    }
    const started = performance.now()
    const { code, message, headers } = overloaded(waitSeconds)
    const { requestId, active } = bareIds(request.headers)
    const body = context.with(active, () => problemBody(code, PROBLEMS.overloaded, message, { instance: LABELS.route }))
    response.writeHead(PROBLEMS.overloaded.status, {
      ...headers,
      'X-Request-ID': requestId,
      'Content-Type': 'application/problem+json',
      'Content-Length': Buffer.byteLength(body),
    })
    response.end(body)
    onReceived(code)
    observe(LABELS, (performance.now() - started) / 1000)
  }
}
