import Type from 'typebox'
import { EXAMPLE_ID, EXAMPLE_TIME, IDEMPOTENCY_KEY, Int64, Time, Uuid } from '../schemas.ts'
import { CALLBACK_EXAMPLE, CallbackSchema, hrefOfCallback } from './representation.ts'

const Prefer = Type.Optional(
  Type.String({
    description: '`wait=N`: waits up to N seconds, at most 30, until the callback is finished (RFC 7240).',
    examples: ['wait=5'],
  }),
)

const UnsignedHeaders = Type.Object({
  Prefer,
  'Idempotency-Key': Type.Optional(
    Type.String({
      pattern: IDEMPOTENCY_KEY,
      description:
        'Callbacks with the same key are one callback. Printable ASCII, bare or quoted. If it is absent, webhook-id (or svix-id) serves as the key.',
    }),
  ),
})

/** https://www.standardwebhooks.com/ */
const SignedHeaders = Type.Object({
  Prefer,
  'webhook-id': Type.String({
    pattern: IDEMPOTENCY_KEY,
    description: 'Callbacks with the same id are one callback. All three headers may have the names svix-* instead.',
  }),
  'webhook-timestamp': Type.String({ pattern: '^[0-9]{1,12}$', description: 'Seconds since 1970, within five minutes of our clock.' }),
  'webhook-signature': Type.String({ description: 'HMAC-SHA-256, as Standard Webhooks defines it.' }),
})

const ANSWER_HEADERS = {
  Location: Type.String({ description: 'The href of the callback.' }),
  'Idempotency-Replayed': Type.String({ description: '`true` if the callback was accepted before.' }),
  'Preference-Applied': Type.String({ description: '`wait=N` if the service waited until the callback was finished, or N seconds.' }),
}

/**
 * Describes `POST /callback`. The schema of the body is only documentation: `parseCallback` reads bodies and keeps ids exact.
 * @param options.isSigned whether the senders of `default` must sign their callbacks. Those of other workspaces may have to sign anyway
 */
export function callbackFacts({ maxObjectIds, isSigned }: { readonly maxObjectIds: number; readonly isSigned: boolean }) {
  return {
    method: 'POST',
    path: '/callback',
    operationId: 'postCallback',
    summary: 'Accepts a callback: after a 202 it is never lost',
    access: 'send',
    limits: 'callbacks',
    headers: isSigned ? SignedHeaders : UnsignedHeaders,
    body: {
      types: ['application/json'],
      schema: Type.Object({ object_ids: Type.Array(Int64, { maxItems: maxObjectIds }) }),
      example: { object_ids: [1, 2, 7] },
    },
    answers: {
      200: {
        description: 'The callback is finished. Only with `Prefer: wait`.',
        headers: ANSWER_HEADERS,
        schema: CallbackSchema,
        example: CALLBACK_EXAMPLE,
      },
      202: {
        description: 'The callback is on disk and cannot be lost, unless `durability` is `none`.',
        headers: ANSWER_HEADERS,
        schema: Type.Object(
          {
            kind: Type.Literal('Callback'),
            id: Uuid,
            href: Type.String(),
            state: Type.Literal('pending'),
            object_count: Type.Integer({ minimum: 0, maximum: maxObjectIds }),
            received_at: Time,
            durability: Type.Enum(['database', 'spooled', 'none'], {
              description: 'Where the callback is. `none`: the service keeps nothing of what it accepts (`database.durability`).',
            }),
            backlog: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
              description: 'Callbacks before it in its workspace that are neither finished nor paused. null: unknown.',
            }),
            eta_ms: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
              description: 'Time until it is probably finished, in milliseconds. null: unknown.',
            }),
          },
          { additionalProperties: false },
        ),
        example: {
          kind: 'Callback',
          id: EXAMPLE_ID,
          href: hrefOfCallback(EXAMPLE_ID),
          state: 'pending',
          object_count: 3,
          received_at: EXAMPLE_TIME,
          durability: 'database',
          backlog: 12,
          eta_ms: 2350,
        },
      },
    },
    problems: [
      ...[
        'shutting_down',
        'overloaded',
        'backlog_full',
        'workspace_archived',
        'invalid_signature',
        'unsupported_media_type',
        'unsupported_encoding',
      ],
      ...['invalid_idempotency_key', 'body_too_large', 'empty_body', 'invalid_encoding', 'invalid_json', 'duplicate_member', 'too_deep'],
      ...['not_an_object', 'missing_member', 'wrong_type', 'not_an_integer', 'out_of_range', 'too_many_ids'],
      ...['idempotency_key_reused', 'value_refused', 'storage_unavailable'],
    ],
  } as const
}
