import { jsonAnswer } from '#foundation/http/answer.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { callerOf } from '../gates/caller-of.ts'
import { workspaceQuery } from '../workspace-links.ts'
import { EXAMPLE_LEASE, LeaseSchema, leaseText } from './lease-representation.ts'
import { LEASE_PROBLEMS, type LeaseUses, leaseKeyOf, NO_STORE, NoStore, ONE_LEASE } from './lease-use.ts'

/** `GET /v1/leases/:token`: what is still wanted. */
export function getLease(leases: Pick<LeaseUses, 'renew'>): Route {
  return route({
    ...ONE_LEASE,
    method: 'GET',
    path: '/v1/leases/:token',
    operationId: 'getLease',
    summary: 'Renews a lease, and says which objects are still wanted',
    answers: {
      200: {
        description: 'The lease.',
        schema: LeaseSchema,
        headers: { 'Cache-Control': NoStore },
        example: EXAMPLE_LEASE,
      },
    },
    problems: LEASE_PROBLEMS,
    parse: request => ({ key: leaseKeyOf(request), query: workspaceQuery(callerOf(request)) }),
    async execute({ key, query }) {
      return jsonAnswer(200, leaseText(await leases.renew(key), query), NO_STORE)
    },
  })
}
