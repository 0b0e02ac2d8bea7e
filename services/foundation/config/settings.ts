import convict from 'convict'
import './formats.ts'
import { ConfigError, isSetting, type Schema, type SettingRow, settingRows, type Values } from './schema.ts'
import { leaves, messageOf, readEnv, readFile, readFlags } from './sources.ts'

/** Where settings come from, and what must hold between them. */
export interface SettingsOptions<S> {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Asked at the start and before a change holds, when each setting is valid by itself. @returns what contradicts what, a sentence */
  readonly check?: ((values: Values<S>) => string | undefined) | undefined
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
  /** What the service started with: a change to null brings it back. */
  readonly #initial: ReadonlyMap<string, unknown>

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
    this.#initial = new Map(this.#rows.map(({ path }) => [path, this.#convict.get(path as never)]))
  }

  get current(): Values<S> {
    return this.#current
  }

  /** What settings there are. */
  get rows(): readonly SettingRow[] {
    return this.#rows
  }

  onChange(listener: (next: Values<S>) => void): void {
    this.#listeners.push(listener)
  }

  /**
   * Changes hot settings, all or none.
   * @param changes nested like the settings themselves (a JSON merge patch, RFC 7396); null brings back what the service started with
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
      for (const [path, value] of wanted) this.#set(path, value ?? this.#initial.get(path))
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
      faults.push(messageOf(error).replace(/(: value was .{64}).+/g, '$1…'))
    }
    if (faults.length > 0) throw new ConfigError(faults.join('\n'))
    const contradiction = this.#check?.(this.#snapshot())
    if (contradiction !== undefined) throw new ConfigError(contradiction)
  }

  #snapshot(): Values<S> {
    return deepFreeze(structuredClone(this.#convict.getProperties())) as Values<S>
  }
}

function convictSchema(schema: Schema): convict.Schema<unknown> {
  const entries = Object.entries(schema).map(([key, entry]) => {
    if (!isSetting(entry)) return [key, convictSchema(entry)]
    const { doc, format, default: fallback, secret: sensitive = false } = entry
    return [key, { doc, format, default: fallback, nullable: fallback === null, sensitive }]
  })
  return Object.fromEntries(entries) as convict.Schema<unknown>
}

/** A URL keeps all but its passwords, so that one sees where it leads; anything else is hidden whole. What is empty hides nothing. */
function maskSecret(value: string): string {
  if (value === '') return ''
  if (!URL.canParse(value)) return '***'
  const url = new URL(value)
  if (url.password) url.password = '***'
  for (const name of ['password', 'sslpassword']) if (url.searchParams.has(name)) url.searchParams.set(name, '***')
  return url.href
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze)
  return value
}
