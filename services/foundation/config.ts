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
  readonly #schema: S
  readonly #rows: readonly SettingRow[]
  readonly #convict: convict.Config<unknown>
  readonly #check: SettingsOptions<S>['check']
  readonly #listeners: ((next: Values<S>) => void)[] = []
  #current: Values<S>

  /** @throws {ConfigError} with one line for each value that is wrong, or about the first flag or key that is unknown */
  constructor(schema: S, options: SettingsOptions<S>) {
    this.#schema = schema
    this.#rows = settingRows(schema)
    this.#check = options.check
    // Convict has defaults and formats; it does not read for us: of `0x10` and `1e3` its own reader of flags makes numbers.
    this.#convict = convict(convictSchema(schema), { env: {}, args: [] })
    const { file, flags } = readFlags(this.#rows, options.argv)
    for (const [path, value] of [...readFile(schema, file), ...readEnv(this.#rows, options.env), ...flags]) this.#set(path, value)
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
    const wanted = leaves(this.#schema, changes)
    for (const [path] of wanted) {
      if (!this.#rows.find(row => row.path === path)?.hot)
        throw new ConfigError(`${path} cannot change while the service runs`, 'not_changeable')
    }
    const before = wanted.map(([path]) => [path, this.#convict.get(path as never)] as const)
    try {
      for (const [path, value] of wanted) this.#set(path, value)
      this.#validate()
    } catch (error) {
      for (const [path, value] of before) this.#set(path, value)
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
    this.#convict.set(path as never, value as never)
  }

  #validate(): void {
    const faults = this.#rows
      .filter(row => row.default === null && this.#convict.get(row.path as never) === null)
      .map(row => `${row.path} is required: set ${row.env} or ${row.flag}=...`)
    try {
      this.#convict.validate({ allowed: 'strict' })
    } catch (error) {
      faults.push(messageOf(error))
    }
    if (faults.length > 0) throw new ConfigError(faults.join('\n'))
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

/** Values as they were given, each with the path of its setting. */
type Given = [path: string, value: unknown][]

function readFlags(rows: readonly SettingRow[], argv: readonly string[]): { file: string | undefined; flags: Given } {
  const options = Object.fromEntries(['config', ...rows.map(row => row.flag.slice(2))].map(flag => [flag, { type: 'string' as const }]))
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false })
    return { file: values['config'] as string | undefined, flags: given(rows, row => values[row.flag.slice(2)]) }
  } catch (error) {
    throw new ConfigError(`${messageOf(error)} (--help lists them all)`)
  }
}

function readEnv(rows: readonly SettingRow[], env: Readonly<Record<string, string | undefined>>): Given {
  return given(rows, row => env[row.env])
}

function given(rows: readonly SettingRow[], read: (row: SettingRow) => unknown): Given {
  return rows.map((row): Given[number] => [row.path, read(row)]).filter(([, value]) => value !== undefined)
}

function readFile(schema: Schema, file: string | undefined): Given {
  if (file === undefined) return []
  try {
    return leaves(schema, JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    throw new ConfigError(`cannot use the settings in ${file}: ${messageOf(error)}`)
  }
}

/** Walks nested settings beside their schema: a name that is not in it, `__proto__` too, goes nowhere. */
function leaves(schema: Schema, values: unknown, prefix = ''): Given {
  if (typeof values !== 'object' || values === null || Array.isArray(values))
    throw new ConfigError(
      prefix === '' ? 'settings must be a JSON object' : `${prefix.slice(0, -1)} is a group: its settings must be a JSON object`,
    )
  return Object.entries(values).flatMap(([key, value]): Given => {
    const path = prefix + key
    const entry = Object.hasOwn(schema, key) ? schema[key] : undefined
    if (!entry) throw new ConfigError(`there is no setting ${path.slice(0, 64)}`, 'unknown_setting')
    if (!isSetting(entry)) return leaves(entry, value, `${path}.`)
    if (typeof value === 'object') throw new ConfigError(`${path}: must be one value`)
    return [[path, value]]
  })
}

function convictSchema(schema: Schema): convict.Schema<unknown> {
  const entries = Object.entries(schema).map(([key, entry]) => {
    if (!isSetting(entry)) return [key, convictSchema(entry)]
    const { doc, format, default: fallback, secret: sensitive = false } = entry
    return [key, { doc, format, default: fallback, nullable: fallback === null, sensitive }]
  })
  return Object.fromEntries(entries) as convict.Schema<unknown>
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
