import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ConfigError, isSetting, type Schema, type SettingRow } from './schema.ts'

/** Values from one source, each with the path of its setting. */
export type Given = [path: string, value: unknown][]

/**
 * Reads the flags `--flag=value`. `file` is the value of `--config`.
 * @throws {ConfigError} a flag is unknown, or an argument is not a flag
 */
export function readFlags(rows: readonly SettingRow[], argv: readonly string[]): { file: string | undefined; flags: Given } {
  const options = Object.fromEntries(['config', ...rows.map(row => row.flag.slice(2))].map(flag => [flag, { type: 'string' as const }]))
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false })
    return { file: values['config'] as string | undefined, flags: given(rows, row => values[row.flag.slice(2)]) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // The message does not repeat the argument, because it may be the secret of a setting whose name is misspelt.
    const message = code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL' ? 'an argument is not of the form --setting=value' : messageOf(error)
    throw new ConfigError(`${message} (--help lists them all)`)
  }
}

export function readEnv(rows: readonly SettingRow[], env: Readonly<Record<string, string | undefined>>): Given {
  return given(rows, row => env[row.env])
}

function given(rows: readonly SettingRow[], read: (row: SettingRow) => unknown): Given {
  return rows.map((row): Given[number] => [row.path, read(row)]).filter(([, value]) => value !== undefined)
}

/** Reads a JSON file of settings. @throws {ConfigError} the file cannot be read, or contains something that is not a setting */
export function readFile(schema: Schema, file: string | undefined): Given {
  if (file === undefined) return []
  try {
    return leaves(schema, JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    throw new ConfigError(`cannot use the settings in ${file}: ${messageOf(error)}`)
  }
}

/**
 * Lists the values of nested settings. Names that are not in the schema, such as `__proto__`, are errors. A value may be null.
 * @throws {ConfigError} a name is unknown, or a value has the wrong shape
 */
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

/** Returns the message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
