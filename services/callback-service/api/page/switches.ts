import Type, { type Static, type TSchema } from 'typebox'

const share = Type.Number({ minimum: 0, maximum: 1 })
const milliseconds = Type.Integer({ minimum: 0 })

/** The settings of the client service that the live page may change. docs/configuration.md says what each does. */
const GROUPS = {
  faults: {
    errorShare: share,
    tooManyRequestsShare: share,
    notFoundShare: share,
    hangShare: share,
    dripShare: share,
    garbageShare: share,
    wrongIdShare: share,
    resetShare: share,
    objectIds: Type.String(),
    retryAfterSeconds: Type.Integer({ minimum: 0 }),
    dripIntervalMs: Type.Integer({ minimum: 1 }),
    down: Type.Boolean(),
  },
  latency: { minMs: milliseconds, maxMs: milliseconds },
}

const Values = Type.Object({ faults: Type.Object(GROUPS.faults), latency: Type.Object(GROUPS.latency) })

export type Switches = Static<typeof Values>

const STRICT = { additionalProperties: false }

/** The switches with their present values. */
export const SwitchesSchema = Type.Object(
  {
    kind: Type.Literal('Switches'),
    id: Type.Literal('client-service'),
    href: Type.Literal('/client-service/config'),
    faults: Type.Object(GROUPS.faults, STRICT),
    latency: Type.Object(GROUPS.latency, STRICT),
  },
  STRICT,
)

/** A JSON merge patch of switches. `null` restores what the client service started with. */
export const switchPatch = Type.Object(
  {
    faults: Type.Optional(Type.Object(changesOf(GROUPS.faults), STRICT)),
    latency: Type.Optional(Type.Object(changesOf(GROUPS.latency), STRICT)),
  },
  STRICT,
)

/** Picks the switches from all settings of the client service. @returns undefined if one is not there, or has another type */
export function switchesIn(settings: unknown): Switches | undefined {
  const all = (settings ?? {}) as Readonly<Record<string, unknown>>
  const faults = picked(GROUPS.faults, all['faults'])
  const latency = picked(GROUPS.latency, all['latency'])
  return faults && latency && ({ faults, latency } as Switches)
}

function picked(group: Readonly<Record<string, TSchema>>, values: unknown): object | undefined {
  const found = Object.entries(group).map(([name, schema]) => [name, schema, (values as Record<string, unknown> | null)?.[name]] as const)
  if (found.some(([, schema, value]) => typeof value !== typeOf(schema))) return undefined
  return Object.fromEntries(found.map(([name, , value]) => [name, value]))
}

function typeOf(schema: TSchema): string {
  const { type } = schema as { type?: string }
  return type === 'integer' ? 'number' : String(type)
}

function changesOf(group: Readonly<Record<string, TSchema>>) {
  return Object.fromEntries(
    Object.entries(group).map(([name, schema]) => [name, Type.Optional(Type.Union([schema, Type.Null()]))]),
  ) as Record<string, TSchema>
}
