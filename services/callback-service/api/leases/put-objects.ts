import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { MAX_DELIVERED, parseDelivery } from '../../domain/leasing/parse-delivery.ts'
import { EXAMPLE_TIME, Int64, Time } from '../schemas.ts'
import { BODY_PROBLEMS, jsonBodyOf } from '../workspaces/subject.ts'
import { LEASE_PROBLEMS, type LeaseUses, leaseKeyOf, NO_STORE, NoStore, ONE_LEASE } from './lease-use.ts'

export interface PutObjectsOptions {
  readonly leases: Pick<LeaseUses, 'deliver'>
  /** Maximum size of the body, in bytes. It must have room for 1,000 objects. */
  readonly maxBodyBytes: number
}

const Delivered = Type.Object({ id: Int64, online: Type.Boolean() }, { additionalProperties: false })

/** `PUT /v1/leases/:token/objects`: delivers objects. They are stored on the disk when the answer leaves. */
export function putObjects({ leases, maxBodyBytes }: PutObjectsOptions): Route {
  return route({
    ...ONE_LEASE,
    method: 'PUT',
    path: '/v1/leases/:token/objects',
    operationId: 'deliverObjects',
    summary: 'Delivers objects of a lease, and renews it',
    body: {
      types: ['application/json'],
      schema: Type.Object(
        { objects: Type.Array(Delivered, { minItems: 1, maxItems: MAX_DELIVERED, description: 'Some of those that the lease asks for.' }) },
        { additionalProperties: false },
      ),
      example: { objects: [{ id: 1, online: true }] },
    },
    answers: {
      200: {
        description: 'The objects are stored. What came before was skipped.',
        schema: Type.Object(
          {
            kind: Type.Literal('Delivery'),
            stored: Type.Integer({ minimum: 0, description: 'Objects that came for the first time.' }),
            wanted: Type.Integer({ minimum: 0, description: 'Objects that the lease still asks for.' }),
            expires_at: Time,
          },
          { additionalProperties: false },
        ),
        headers: { 'Cache-Control': NoStore },
        example: { kind: 'Delivery', stored: 1, wanted: 1, expires_at: EXAMPLE_TIME },
      },
    },
    problems: [...BODY_PROBLEMS, ...LEASE_PROBLEMS, 'not_wanted', 'overloaded'],
    async parse(request) {
      const objects = parseDelivery(await jsonBodyOf(request, maxBodyBytes))
      return { key: leaseKeyOf(request), objects }
    },
    async execute({ key, objects }) {
      const { stored, wanted, expiresAt } = await leases.deliver(key, objects)
      return jsonAnswer(200, JSON.stringify({ kind: 'Delivery', stored, wanted, expires_at: expiresAt.toISOString() }), NO_STORE)
    },
  })
}
