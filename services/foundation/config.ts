import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import convict from 'convict'
import './config-formats.ts'
import type { FormatName } from './config-formats.ts'

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

/** Where settings come from, and what must hold between them. */
export interface SettingsOptions<S> {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Asked at the start and before a change holds, when each setting is valid by itself. @returns what contradicts what, a sentence */
  readonly check?: ((values: Values<S>) => string | undefined) | undefined
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

/**
 * The settings of a running service: defaults < file (`--config`, JSON) < environment < command line, strictly validated.
 * `current` is read once by what cannot change, and again and again by what is hot.
 */
export class Settings<S extends Schema> {
  readonly #rows: readonly SettingRow[]
  readonly #convict: convict.Config<unknown>
  readonly #check: SettingsOptions<S>['check']
  readonly #listeners: ((next: Values<S>) => void)[] = []
  #current: Values<S>

  /** @throws {ConfigError} with one line for each thing that is wrong */
  constructor(schema: S, options: SettingsOptions<S>) {
    this.#rows = settingRows(schema)
    this.#check = options.check
    const { file, flags } = readFlags(this.#rows, options.argv)
    const env = Object.fromEntries(Object.entries(options.env).filter(([, value]) => value !== undefined))
    this.#convict = convict(convictSchema(schema, this.#rows), { env: env as NodeJS.ProcessEnv, args: flags })
    if (file !== undefined) this.#convict.load(readConfigFile(file))
    this.#validate()
    this.#current = this.#snapshot()
  }

  get current(): Values<S> {
    return this.#current
  }

  onChange(listener: (next: Values<S>) => void): void {
    this.#listeners.push(listener)
  }

  /**
   * Changes hot settings, all or none.
   * @param changes nested like the settings themselves (a JSON merge patch, RFC 7396)
   * @throws {ConfigError} unknown_setting, not_changeable or invalid_setting, naming the path
   */
  change(changes: unknown): void {
    const wanted = flatten(changes)
    for (const [path] of wanted) {
      const row = this.#rows.find(candidate => candidate.path === path)
      if (!row) throw new ConfigError(`there is no setting ${path.slice(0, 64)}`, 'unknown_setting')
      if (!row.hot) throw new ConfigError(`${path} cannot change while the service runs`, 'not_changeable')
    }
    const before = wanted.map(([path]) => [path, this.#convict.get(path as never)] as const)
    try {
      for (const [path, value] of wanted) this.#set(path, value)
      this.#validate()
    } catch (error) {
      for (const [path, value] of before) this.#convict.set(path as never, value as never)
      throw error
    }
    this.#current = this.#snapshot()
    for (const listener of this.#listeners) listener(this.#current)
  }

  /** The values as they may be shown: nested, secrets masked. */
  masked(): object {
    const values = structuredClone(this.#current) as Record<string, unknown>
    for (const row of this.#rows.filter(candidate => candidate.secret)) {
      const keys = row.path.split('.')
      const last = keys.pop() as string
      const parent = keys.reduce((node, key) => node[key] as Record<string, unknown>, values)
      parent[last] = maskSecret(String(parent[last]))
    }
    return values
  }

  #set(path: string, value: unknown): void {
    try {
      this.#convict.set(path as never, value as never)
    } catch (error) {
      throw new ConfigError(messageOf(error))
    }
  }

  #validate(): void {
    const missing = this.#rows.filter(row => row.default === null && this.#convict.get(row.path as never) === null)
    if (missing.length > 0)
      throw new ConfigError(missing.map(row => `${row.path} is required: set ${row.env} or ${row.flag}=...`).join('\n'))
    try {
      this.#convict.validate({ allowed: 'strict' })
    } catch (error) {
      throw new ConfigError(messageOf(error))
    }
    const contradiction = this.#check?.(this.#snapshot())
    if (contradiction !== undefined) throw new ConfigError(contradiction)
  }

  #snapshot(): Values<S> {
    return deepFreeze(structuredClone(this.#convict.getProperties())) as Values<S>
  }
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

function isSetting(entry: Setting<unknown> | Schema): entry is Setting<unknown> {
  return typeof entry['doc'] === 'string'
}

function readFlags(rows: readonly SettingRow[], argv: readonly string[]): { file: string | undefined; flags: string[] } {
  const options = Object.fromEntries(['config', ...rows.map(row => row.flag.slice(2))].map(flag => [flag, { type: 'string' as const }]))
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false })
    const { config, ...flags } = values as Record<string, string>
    return { file: config, flags: Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`) }
  } catch (error) {
    throw new ConfigError(`${messageOf(error)} (--help lists them all)`)
  }
}

function readConfigFile(file: string): object {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as object
  } catch (error) {
    throw new ConfigError(`cannot read the settings in ${file}: ${messageOf(error)}`)
  }
}

function convictSchema(schema: Schema, rows: readonly SettingRow[], prefix = ''): convict.Schema<unknown> {
  const entries = Object.entries(schema).map(([key, entry]) => {
    const path = prefix + key
    const row = rows.find(candidate => candidate.path === path)
    return [
      key,
      row
        ? { doc: row.doc, format: row.format, default: row.default, nullable: row.default === null, env: row.env, arg: row.flag.slice(2) }
        : convictSchema(entry as Schema, rows, `${path}.`),
    ]
  })
  return Object.fromEntries(entries) as convict.Schema<unknown>
}

function flatten(changes: unknown, prefix = ''): [string, unknown][] {
  if (typeof changes !== 'object' || changes === null || Array.isArray(changes)) {
    if (prefix === '') throw new ConfigError('the changes must be a JSON object')
    return [[prefix.slice(0, -1), changes]]
  }
  return Object.entries(changes).flatMap(([key, value]) => flatten(value, `${prefix}${key}.`))
}

/** A URL keeps all but its password, so that one sees where it leads; anything else is hidden whole. */
function maskSecret(value: string): string {
  if (!URL.canParse(value)) return '***'
  const url = new URL(value)
  if (url.password) url.password = '***'
  if (url.searchParams.has('password')) url.searchParams.set('password', '***')
  return url.href
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze)
  return value
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
