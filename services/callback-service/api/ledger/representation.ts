import Type from 'typebox'
import { CALLBACK_STATES } from '../../domain/callback.ts'
import type { LedgerInterval } from '../../domain/ledger/ledger.ts'
import type { LedgerKey } from '../../domain/ledger/ledger-key.ts'
import { hrefOfCallback } from '../callbacks/representation.ts'
import { EXAMPLE_ID, EXAMPLE_TIME, Time, Uuid } from '../schemas.ts'

const Count = Type.Integer({ minimum: 0 })

export const LedgerSchema = Type.Object(
  {
    kind: Type.Literal('Ledger'),
    id: Type.Literal('ledger'),
    href: Type.String(),
    step: Type.Integer({ minimum: 60, maximum: 86_400 }),
    intervals: Type.Array(
      Type.Object(
        {
          from: Time,
          to: Time,
          accepted: Type.Integer({ minimum: 0, description: 'Callbacks received in this interval.' }),
          keyed: Type.Integer({ minimum: 0, description: 'Those of them that have an idempotency key.' }),
          replayed: Type.Integer({ minimum: 0, description: 'Answers in this interval that said: accepted before.' }),
          refused: Type.Record(Type.String(), Count, { description: 'Refusals in this interval, by the code of the problem.' }),
          completed: Count,
          failed: Count,
          cancelled: Count,
          unfinished: Count,
          keys_digest: Type.String({ pattern: '^[0-9a-f]{16}$' }),
          complete: Type.Boolean({ description: 'False if the interval is older than ledger.retentionDays.' }),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
)

export const LEDGER_EXAMPLE = {
  kind: 'Ledger',
  id: 'ledger',
  href: '/v1/ledger?from=2026-11-22T02:55:00.000Z&to=2026-11-22T02:56:00.000Z&step=60',
  step: 60,
  intervals: [
    {
      from: '2026-11-22T02:55:00.000Z',
      to: '2026-11-22T02:56:00.000Z',
      accepted: 120,
      keyed: 118,
      replayed: 3,
      refused: { body_too_large: 1 },
      completed: 117,
      failed: 1,
      cancelled: 0,
      unfinished: 2,
      keys_digest: '0a3f5c7712be90d4',
      complete: true,
    },
  ],
}

/** @param completeFromMs everything that the service received from then on is in the ledger */
export function intervalView({ fromMs, toMs, keysDigest, ...interval }: LedgerInterval, completeFromMs: number): object {
  const { accepted, keyed, replayed, refused, completed, failed, cancelled, unfinished } = interval
  return {
    from: new Date(fromMs),
    to: new Date(toMs),
    ...{ accepted, keyed, replayed, refused, completed, failed, cancelled, unfinished },
    keys_digest: keysDigest,
    complete: fromMs >= completeFromMs,
  }
}

export const LedgerKeySchema = Type.Object(
  {
    key: Type.String(),
    received_at: Time,
    callback: Type.Object(
      { kind: Type.Literal('Callback'), id: Uuid, href: Type.String(), state: Type.Enum([...CALLBACK_STATES]) },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)

export const LEDGER_KEY_EXAMPLE = {
  key: 'order-1',
  received_at: EXAMPLE_TIME,
  callback: { kind: 'Callback', id: EXAMPLE_ID, href: hrefOfCallback(EXAMPLE_ID), state: 'completed' },
}

/** @param query what leads to the workspace of the callback (`workspaceQuery`) */
export function keyText({ key, id, receivedAt, state }: LedgerKey, query: string): string {
  return JSON.stringify({ key, received_at: receivedAt, callback: { kind: 'Callback', id, href: hrefOfCallback(id, query), state } })
}
