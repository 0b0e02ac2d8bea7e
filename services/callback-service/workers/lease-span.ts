import { withRequestId } from '#foundation/http/request-id.ts'
import { carrierOf, contextFromCarrier, SpanKind, startSpan, trace } from '#foundation/telemetry/spans.ts'
import type { Lease } from '../domain/leasing/lease.ts'

/**
 * Records in the trace of a callback that an agent has leased it.
 * @returns the lease with the context of this span, in which the agent goes on
 */
export function leaseSpan(lease: Lease): Lease {
  const received = contextFromCarrier(lease.trace)
  const parent = lease.requestId === undefined ? received : withRequestId(received, lease.requestId)
  const span = startSpan('lease callback', {
    kind: SpanKind.CONSUMER,
    parent,
    attributes: {
      'answerback.callback.id': lease.callbackId,
      'answerback.workspace': lease.workspace,
      'answerback.callback.attempt': lease.attempt,
      'answerback.object.count': lease.objectIds.length,
      'answerback.agent.id': lease.agentId,
    },
  })
  span.end()
  return { ...lease, trace: { ...lease.trace, ...carrierOf(trace.setSpan(parent, span)) } }
}
