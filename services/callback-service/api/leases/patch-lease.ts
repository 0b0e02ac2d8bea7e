import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { CALLBACK_STATES } from '../../domain/callback.ts'
import { MAX_EXTEND_SECONDS, MAX_RETRY_AFTER_SECONDS, parseLeaseChange } from '../../domain/leasing/parse-lease-change.ts'
import { callerOf } from '../gates/caller-of.ts'
import { Int64 } from '../schemas.ts'
import { workspaceQuery } from '../workspace-links.ts'
import { BODY_PROBLEMS, jsonBodyOf } from '../workspaces/subject.ts'
import { EXAMPLE_LEASE, LeaseSchema, leaseText } from './lease-representation.ts'
import { LEASE_PROBLEMS, type LeaseUses, leaseKeyOf, NO_STORE, NoStore, ONE_LEASE } from './lease-use.ts'

export interface PatchLeaseOptions {
  readonly leases: Pick<LeaseUses, 'renew' | 'end'>
  /** Maximum size of the body, in bytes. It must have room for the outcomes of all objects of a callback. */
  readonly maxBodyBytes: number
}

const Named = Type.Object(
  {
    id: Int64,
    outcome: Type.Enum(['not_found', 'failed', 'pending'], { description: '`pending` only if the callback goes back.' }),
    reason: Type.Optional(Type.String({ pattern: '^[a-z0-9_]{1,64}$', description: 'Required, except for `not_found`.' })),
  },
  { additionalProperties: false },
)

const Change = Type.Object(
  {
    extend_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_EXTEND_SECONDS, description: 'Stands alone.' })),
    state: Type.Optional(
      Type.Enum(['pending', 'completed', 'failed'], { description: '`pending` gives the callback back. The others finish it.' }),
    ),
    unstored: Type.Optional(Type.Array(Named, { description: 'What became of the objects that were not delivered.' })),
    charged: Type.Optional(Type.Boolean({ default: false, description: 'With `pending`: whether it counts as an attempt.' })),
    retry_after_seconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: MAX_RETRY_AFTER_SECONDS, description: 'With `pending`: the least time until the next lease.' }),
    ),
    reason: Type.Optional(
      Type.String({ pattern: '^[a-z0-9_]{1,64}$', description: 'With `failed`, required: why the other objects were not delivered.' }),
    ),
  },
  { additionalProperties: false, minProperties: 1 },
)

const LeaseEnd = Type.Object({ kind: Type.Literal('LeaseEnd'), state: Type.Enum([...CALLBACK_STATES]) }, { additionalProperties: false })

/** `PATCH /v1/leases/:token`: extends a lease, gives its callback back, or finishes it. */
export function patchLease({ leases, maxBodyBytes }: PatchLeaseOptions): Route {
  return route({
    ...ONE_LEASE,
    method: 'PATCH',
    path: '/v1/leases/:token',
    operationId: 'changeLease',
    summary: 'Extends a lease, gives its callback back, or finishes it',
    body: {
      types: ['application/merge-patch+json', 'application/json'],
      schema: Change,
      example: { state: 'completed', unstored: [{ id: 7, outcome: 'not_found' }] },
    },
    answers: {
      200: {
        description: 'The lease with its new end; or, if it is over, the state that the callback got.',
        schema: Type.Union([LeaseSchema, LeaseEnd]),
        headers: { 'Cache-Control': NoStore },
        example: EXAMPLE_LEASE,
      },
    },
    problems: [...BODY_PROBLEMS, ...LEASE_PROBLEMS, 'not_wanted', 'objects_missing', 'value_refused'],
    async parse(request) {
      const change = parseLeaseChange(await jsonBodyOf(request, maxBodyBytes))
      return { key: leaseKeyOf(request), change, query: workspaceQuery(callerOf(request)) }
    },
    async execute({ key, change, query }) {
      if (change.kind === 'extend') return jsonAnswer(200, leaseText(await leases.renew(key, change.seconds), query), NO_STORE)
      const state = await leases.end(key, change)
      return jsonAnswer(200, JSON.stringify({ kind: 'LeaseEnd', state }), NO_STORE)
    },
  })
}
