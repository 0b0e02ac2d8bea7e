import convict from 'convict'

/**
 * The formats of settings. Text from the environment or the command line is read strictly: `12abc` is not a number.
 * - count: an integer of at least 1
 * - integer: an integer of at least 0
 * - seconds: a number above 0, at most ten years, with or without a fraction
 * - ratio: a number from 0 to 1
 * - host: never empty, because the empty host means every address
 * - URLs: without credentials, except those of the database and of a proxy
 */
export type FormatName =
  | 'tcp-port'
  | 'count'
  | 'integer'
  | 'seconds'
  | 'ratio'
  | 'text'
  | 'host'
  | 'host-names'
  | 'origins'
  | 'switch'
  | 'webhook-secrets'
  | 'access-keys'
  | 'http-url'
  | 'optional-http-url'
  | 'optional-proxy-url'
  | 'agent-id'
  | 'workspace-id'
  | 'postgres-url'
  | 'optional-postgres-url'

/** Maximum number of milliseconds of a timer, and largest `integer` of Postgres. */
const MAX_INTEGER = 2 ** 31 - 1

/** Describes a valid URL in error messages. They never contain the URL itself, because there is a password in it. */
const POSTGRES_URL = 'a postgresql:// URL; in its user name and password %, #, / and ? are written %25, %23, %2F and %3F'

/** Ten years. Postgres can add this to any date that a clock may show. */
const MAX_SECONDS = 3650 * 86_400

addNumber('tcp-port', 'an integer from 0 to 65535', value => Number.isInteger(value) && value >= 0 && value <= 65_535)
addNumber('count', 'an integer from 1', value => Number.isInteger(value) && value >= 1 && value <= MAX_INTEGER)
addNumber('integer', 'an integer from 0', value => Number.isInteger(value) && value >= 0 && value <= MAX_INTEGER)
addNumber('seconds', `a number above 0, at most ${MAX_SECONDS}`, value => value > 0 && value <= MAX_SECONDS)
addNumber('ratio', 'a number from 0 to 1', value => value >= 0 && value <= 1)

add('text', 'a text', value => typeof value === 'string')
add('host', 'an address or a host name', value => typeof value === 'string' && /^[\w.:-]+$/.test(value))
add('host-names', 'host names separated by spaces', value => typeof value === 'string' && /^[\w.\s-]*$/.test(value))
add('origins', 'origins such as https://app.example, separated by spaces', areOrigins)
add(
  'switch',
  'true or false',
  value => typeof value === 'boolean',
  text => (text === 'true' || text === 'false' ? text === 'true' : text),
)
add(
  'webhook-secrets',
  'secrets in the format of Standard Webhooks (whsec_ and base64 of 24 to 64 bytes), separated by spaces',
  areWebhookSecrets,
)
add('access-keys', 'keys of 32 to 512 letters, digits and -._~+/=, separated by spaces', areAccessKeys)
add('http-url', 'an http or https URL without credentials', isPlainHttpUrl)
add('optional-http-url', 'an http or https URL without credentials, or empty', value => value === '' || isPlainHttpUrl(value))
add('optional-proxy-url', 'an http or https URL, or empty', value => value === '' || hasProtocol(value, ['http:', 'https:']))
add('agent-id', 'a UUID or self', value => typeof value === 'string' && /^(self|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.test(value))
add('workspace-id', '1 to 64 letters, digits, _ and -, or empty', value => typeof value === 'string' && /^[A-Za-z0-9_-]{0,64}$/.test(value))
add('postgres-url', POSTGRES_URL, isPostgresUrl)
add('optional-postgres-url', `${POSTGRES_URL}, or empty`, value => value === '' || isPostgresUrl(value))

function addNumber(name: FormatName, wanted: string, isValid: (value: number) => boolean): void {
  add(
    name,
    wanted,
    value => typeof value === 'number' && isValid(value),
    text => (/^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text),
  )
}

function add(
  name: FormatName,
  wanted: string,
  isValid: (value: unknown) => boolean,
  parse: (text: string) => unknown = text => text,
): void {
  convict.addFormat({
    name,
    validate: value => {
      if (!isValid(value)) throw new Error(`must be ${wanted}`)
    },
    coerce: value => (typeof value === 'string' ? parse(value) : value),
  })
}

function isPlainHttpUrl(value: unknown): boolean {
  if (!hasProtocol(value, ['http:', 'https:'])) return false
  const { username, password } = new URL(value as string)
  return username === '' && password === ''
}

/**
 * Detects a password with characters that are not encoded. A raw #, / or ? ends the part before the host. The rest of the password, up to
 * the @, then looks like a path, a query or a fragment. A raw % makes the URL invalid, or means another password.
 */
function isPostgresUrl(value: unknown): boolean {
  if (!hasProtocol(value, ['postgres:', 'postgresql:'])) return false
  const { username, password, pathname, search, hash } = new URL(value as string)
  const isCutShort = hash !== '' || pathname.includes('@') || /[?&](?!user=)[^&]*@/.test(search)
  return !isCutShort && isDecodable(`${username}${password}`)
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** As a browser writes them: scheme, host, and the port where it is not the usual one. */
function areOrigins(value: unknown): boolean {
  if (typeof value !== 'string') return false
  const origins = value.split(/\s+/).filter(Boolean)
  return origins.every(origin => hasProtocol(origin, ['http:', 'https:']) && new URL(origin).origin === origin)
}

function areWebhookSecrets(value: unknown): boolean {
  if (typeof value !== 'string') return false
  if (value === '') return true
  return value
    .trim()
    .split(/\s+/)
    .every(secret => /^(whsec_)?[A-Za-z0-9+/]{32,88}={0,2}$/.test(secret))
}

/** The characters that `Authorization: Bearer` allows (RFC 6750, 2.1). */
function areAccessKeys(value: unknown): boolean {
  if (typeof value !== 'string') return false
  if (value === '') return true
  return value
    .trim()
    .split(/\s+/)
    .every(key => /^[A-Za-z0-9._~+/=-]{32,512}$/.test(key))
}

function hasProtocol(value: unknown, protocols: readonly string[]): boolean {
  return typeof value === 'string' && URL.canParse(value) && protocols.includes(new URL(value).protocol)
}
