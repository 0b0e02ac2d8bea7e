import Type, { type TSchema } from 'typebox'
import type { SettingRow } from '../config/schema.ts'

/** Makes the schema of the body of `PATCH /config`: the hot settings, nested by path. `null` restores the value from the start. */
export function changesSchema(rows: readonly SettingRow[]): TSchema {
  return nested(rows.filter(({ hot }) => hot).map(row => [row.path.split('.'), row] as const))
}

function nested(rows: readonly (readonly [path: readonly string[], row: SettingRow])[]): TSchema {
  const members = [...Map.groupBy(rows, ([[name = '']]) => name)].map(([name, here]) => {
    const [[path, row]] = here as [(typeof here)[number]]
    return [name, path.length === 1 ? valueSchema(row) : nested(here.map(([[, ...rest], each]) => [rest, each] as const))]
  })
  const properties = Object.fromEntries(members.map(([name, schema]) => [name, Type.Optional(schema as TSchema)]))
  return Type.Object(properties, { additionalProperties: false })
}

function valueSchema({ doc, format }: SettingRow): TSchema {
  const schema = Array.isArray(format) ? Type.Enum(format as string[]) : (SCHEMAS[format as keyof typeof SCHEMAS] ?? Type.String())
  return Type.Union([schema, Type.Null()], { description: doc })
}

const MAX_INTEGER = 2 ** 31 - 1

/** Schemas of the formats whose values are not strings (foundation/config/formats.ts). */
const SCHEMAS = {
  'tcp-port': Type.Integer({ minimum: 0, maximum: 65_535 }),
  count: Type.Integer({ minimum: 1, maximum: MAX_INTEGER }),
  integer: Type.Integer({ minimum: 0, maximum: MAX_INTEGER }),
  seconds: Type.Number({ exclusiveMinimum: 0, maximum: 3650 * 86_400 }),
  ratio: Type.Number({ minimum: 0, maximum: 1 }),
  switch: Type.Boolean(),
}
