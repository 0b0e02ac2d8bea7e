import type { FormatName } from './formats.ts'

/**
 * One setting. Its environment variable is `env`, or by default its path in capitals (`fetch.timeoutMs`: FETCH_TIMEOUT_MS). Its flag is the
 * variable in kebab case (`--fetch-timeout-ms`).
 */
export interface Setting<T> {
  readonly doc: string
  readonly format: FormatName | readonly T[]
  /** The default value. null means that there is none and that the setting is required. */
  readonly default: T | null
  readonly env?: string
  /** Whether the setting may change while the service runs, through PATCH /config. */
  readonly hot?: true
  /** Whether the secret part of the value is masked when it is shown. */
  readonly secret?: true
}

export type Schema = { readonly [key: string]: Setting<unknown> | Schema }

/** The values of a schema's settings: nested objects, deeply frozen. */
export type Values<S> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : Values<S[K]> }

export interface SettingRow extends Setting<unknown> {
  readonly path: string
  readonly env: string
  readonly flag: string
}

/** The configuration is wrong, and the user must correct it. The message has one sentence per line. */
export class ConfigError extends Error {
  readonly code: 'invalid_setting' | 'unknown_setting' | 'not_changeable'

  constructor(message: string, code: ConfigError['code'] = 'invalid_setting') {
    super(message)
    this.code = code
  }
}

/** Declares a setting with the type of its value. */
export function setting<T>(row: Setting<T>): Setting<T> {
  return row
}

/** Lists all settings of a schema, in its order. */
export function settingRows(schema: Schema, prefix = ''): SettingRow[] {
  return Object.entries(schema).flatMap(([key, entry]) => {
    const path = prefix + key
    if (!isSetting(entry)) return settingRows(entry, `${path}.`)
    const env = entry.env ?? path.replace(/\./g, '_').replace(/[A-Z]/g, '_$&').toUpperCase()
    return [{ ...entry, path, env, flag: `--${env.toLowerCase().replaceAll('_', '-')}` }]
  })
}

/** Makes the text of `--help`. */
export function helpText(command: string, schema: Schema): string {
  const rows = settingRows(schema).map(row => {
    const fallback = row.default === null ? 'required' : `default ${JSON.stringify(row.default)}`
    return `  ${row.flag}=...  (${row.env}; ${fallback}${row.hot ? '; changeable while running' : ''})\n      ${row.doc}`
  })
  return [
    `Usage: ${command} [--setting=value ...]`,
    '',
    '  --config=FILE\n      A JSON file of settings, nested by their path.',
    ...rows,
    '',
  ].join('\n')
}

/** Whether an entry is a setting and not a group of settings. */
export function isSetting(entry: Setting<unknown> | Schema): entry is Setting<unknown> {
  return typeof entry['doc'] === 'string'
}
