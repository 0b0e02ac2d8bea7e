import type { RequestListener } from 'node:http'
import { problemAnswer, writeAnswer } from '#foundation/http/answer.ts'
import { bareIds, type ObserveRequest } from '#foundation/http/telemetry.ts'
import { context } from '#foundation/telemetry/spans.ts'
import { PROBLEMS } from '../problem-kinds.ts'
import { overloaded } from '../problems.ts'
import { UNKNOWN_WORKSPACE } from './count-refusals.ts'

const LABELS = { method: 'POST', route: '/callback', status: PROBLEMS.overloaded.status }

/**
 * Refuses callbacks before the app sees them while the inbox has no room. It makes no span and does not read the body. A refusal by the app costs
 * more than twice as much, and an overload causes many refusals. Requests with a query in the URL still go through the app.
 */
export function refuseWhenFull(options: {
  readonly inbox: { readonly waitSeconds: number }
  readonly onReceived: (outcome: string, workspace: string) => void
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
    onReceived(problem.code, UNKNOWN_WORKSPACE)
    observe(LABELS, (performance.now() - started) / 1000)
  }
}
