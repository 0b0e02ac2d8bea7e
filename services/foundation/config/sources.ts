import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ConfigError, isSetting, type Schema, type SettingRow } from './schema.ts'

/** Values as they were given, each with the path of its setting. */
export type Given = [path: string, value: unknown][]

/** Reads `--flag=value`s. `file` is what `--config` names. @throws {ConfigError} a flag that is unknown, or no flag */
export function readFlags(rows: readonly SettingRow[], argv: readonly string[]): { file: string | undefined; flags: Given } {
  const options = Object.fromEntries(['config', ...rows.map(row => row.flag.slice(2))].map(flag => [flag, { type: 'string' as const }]))
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false })
    return { file: values['config'] as string | undefined, flags: given(rows, row => values[row.flag.slice(2)]) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // It is not repeated: it may be the secret of a setting whose name went wrong.
    const message = code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL' ? 'an argument is no --setting=value' : messageOf(error)
    throw new ConfigError(`${message} (--help lists them all)`)
  }
}

export function readEnv(rows: readonly SettingRow[], env: Readonly<Record<string, string | undefined>>): Given {
  return given(rows, row => env[row.env])
}

function given(rows: readonly SettingRow[], read: (row: SettingRow) => unknown): Given {
  return rows.map((row): Given[number] => [row.path, read(row)]).filter(([, value]) => value !== undefined)
}

/** @throws {ConfigError} it cannot be read, or holds what is no setting */
export function readFile(schema: Schema, file: string | undefined): Given {
  if (file === undefined) return []
  try {
    return leaves(schema, JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    throw new ConfigError(`cannot use the settings in ${file}: ${messageOf(error)}`)
  }
}

/** Walks nested settings beside their schema: a name that is not in it, `__proto__` too, goes nowhere. A value may be null. @throws {ConfigError} */
export function leaves(schema: Schema, values: unknown, prefix = ''): Given {
  if (typeof values !== 'object' || values === null || Array.isArray(values))
    throw new ConfigError(
      prefix === '' ? 'settings must be a JSON object' : `${prefix.slice(0, -1)} is a group: its settings must be a JSON object`,
    )
  return Object.entries(values).flatMap(([key, value]): Given => {
    const path = prefix + key
    const entry = Object.hasOwn(schema, key) ? schema[key] : undefined
    if (!entry) throw new ConfigError(`there is no setting ${path.slice(0, 64)}`, 'unknown_setting')
    if (!isSetting(entry)) return leaves(entry, value, `${path}.`)
    if (typeof value === 'object' && value !== null) throw new ConfigError(`${path}: must be one value`)
    return [[path, value]]
  })
}

/** The words of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
