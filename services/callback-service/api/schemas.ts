import Type from 'typebox'
import { MAX_OBJECT_ID, MIN_OBJECT_ID } from '#fetching/object-id.ts'

/** The id of an object: any 64-bit signed integer. Most JSON readers round integers beyond 2^53. */
export const Int64 = Type.Integer({ minimum: MIN_OBJECT_ID, maximum: MAX_OBJECT_ID })

/** The id of an object in a URL. */
export const Int64Text = Type.String({ pattern: '^(0|-?[1-9][0-9]{0,18})$', description: 'A 64-bit signed integer.' })

/** An idempotency key: printable ASCII, except two quotes with nothing between them. */
export const IDEMPOTENCY_KEY = '^([!-~]|(?!"")[!-~][ -~]{0,253}[!-~])$'

/** A UUID in its usual form. Postgres accepts every text that matches. */
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
export const Uuid = Type.String({ format: 'uuid' })
export const Time = Type.String({ format: 'date-time' })

export const EXAMPLE_ID = '01a2012d-e90a-70df-bfc6-c43b082c5343'
export const EXAMPLE_TIME = '2026-11-22T02:55:15.725Z'

/** A reference to a callback. */
export const CallbackReference = Type.Object(
  { kind: Type.Literal('Callback'), id: Uuid, href: Type.String() },
  { additionalProperties: false },
)
