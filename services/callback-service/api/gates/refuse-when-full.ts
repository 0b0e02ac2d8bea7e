import type { RequestListener } from 'node:http'
import { problemAnswer, writeAnswer } from '#foundation/http/answer.ts'
import { bareIds, type ObserveRequest } from '#foundation/http/telemetry.ts'
import { context } from '#foundation/telemetry/spans.ts'
import { PROBLEMS } from '../problem-kinds.ts'
import { overloaded } from '../problems.ts'

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
    const problem = overloaded(waitSeconds)
    const { requestId, active } = bareIds(request.headers)
    response.setHeader('X-Request-ID', requestId)
    writeAnswer(
      response,
      context.with(active, () => problemAnswer(problem, PROBLEMS.overloaded, LABELS.route)),
    )
    onReceived(problem.code)
    observe(LABELS, (performance.now() - started) / 1000)
  }
}
