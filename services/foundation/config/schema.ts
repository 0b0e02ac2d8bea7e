import type { FormatName } from './formats.ts'

/** One setting. Its environment variable is `env`, or its path in capitals (`fetch.timeoutMs`: FETCH_TIMEOUT_MS); its flag is that in kebab case. */
export interface Setting<T> {
  readonly doc: string
  readonly format: FormatName | readonly T[]
  /** null: there is none, and the setting is required. */
  readonly default: T | null
  readonly env?: string
  /** May change while the service runs, through PATCH /config. */
  readonly hot?: true
  /** Printed without what is secret in it. */
  readonly secret?: true
}

export type Schema = { readonly [key: string]: Setting<unknown> | Schema }

/** The values a schema describes: nested objects, deeply frozen. */
export type Values<S> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : Values<S[K]> }

export interface SettingRow extends Setting<unknown> {
  readonly path: string
  readonly env: string
  readonly flag: string
}

/** What is wrong with the configuration, one sentence a line; the user's to mend. */
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

/** All settings of a schema, in its order. */
export function settingRows(schema: Schema, prefix = ''): SettingRow[] {
  return Object.entries(schema).flatMap(([key, entry]) => {
    const path = prefix + key
    if (!isSetting(entry)) return settingRows(entry, `${path}.`)
    const env = entry.env ?? path.replace(/\./g, '_').replace(/[A-Z]/g, '_$&').toUpperCase()
    return [{ ...entry, path, env, flag: `--${env.toLowerCase().replaceAll('_', '-')}` }]
  })
}

/** The text of `--help`. */
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

/** Tells a setting from a group of them. */
export function isSetting(entry: Setting<unknown> | Schema): entry is Setting<unknown> {
  return typeof entry['doc'] === 'string'
}
