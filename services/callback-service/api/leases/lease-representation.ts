import Type from 'typebox'
import type { Lease } from '../../domain/leasing/lease.ts'
import { EXAMPLE_ID, EXAMPLE_TIME, Int64, Time } from '../schemas.ts'

/** What an agent learns of a callback. There is no id of the callback in it, so that no agent builds URLs from one. */
export const LeaseSchema = Type.Object(
  {
    kind: Type.Literal('Lease'),
    location: Type.String({
      description: 'GET it for what is still wanted. PATCH it to extend the lease, give the callback back, or finish.',
    }),
    objects: Type.String({ description: 'PUT objects here, as they come.' }),
    object_ids: Type.Array(Int64, { description: 'The objects that are still wanted.' }),
    attempt: Type.Integer({ minimum: 1 }),
    received_at: Time,
    leased_at: Type.String({ format: 'date-time', description: 'Ask the client service for the objects after you have this lease.' }),
    expires_at: Type.String({ format: 'date-time', description: 'The lease ends then. Each use of it renews it.' }),
    expires_in_seconds: Type.Number({ description: 'The time until then, for agents whose clock differs.' }),
    request_id: Type.Optional(Type.String({ description: 'The X-Request-ID of the callback.' })),
    traceparent: Type.Optional(Type.String({ description: 'The trace of the callback, for the requests to the client service.' })),
    tracestate: Type.Optional(Type.String()),
    baggage: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)

export const EXAMPLE_LEASE = {
  kind: 'Lease',
  location: `/v1/leases/${EXAMPLE_ID}`,
  objects: `/v1/leases/${EXAMPLE_ID}/objects`,
  object_ids: [1, 7],
  attempt: 1,
  received_at: EXAMPLE_TIME,
  leased_at: '2026-11-22T02:55:15.741Z',
  expires_at: '2026-11-22T02:55:45.741Z',
  expires_in_seconds: 30,
  request_id: '5f2b1c',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
}

/** Writes a lease as JSON. The ids of objects are exact numbers. @param query that of the workspace, for the URLs */
export function leaseText(lease: Lease, query = ''): string {
  const { token, objectIds, attempt, receivedAt, leasedAt, expiresAt, expiresInMs, trace, requestId } = lease
  const location = `/v1/leases/${token}`
  const before = JSON.stringify({ kind: 'Lease', location: `${location}${query}`, objects: `${location}/objects${query}` })
  const after = JSON.stringify({
    attempt,
    received_at: receivedAt.toISOString(),
    leased_at: leasedAt.toISOString(),
    expires_at: expiresAt.toISOString(),
    expires_in_seconds: Math.max(0, Math.floor(expiresInMs) / 1000),
    request_id: requestId,
    ...trace,
  })
  return `${before.slice(0, -1)},"object_ids":[${objectIds.join(',')}],${after.slice(1)}`
}
