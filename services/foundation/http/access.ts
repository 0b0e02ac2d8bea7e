import Type from 'typebox'

/** Who may use a route. The gate that `routerOf` gets enforces it. */
export type Access =
  /** Everybody: health, documents. */
  | 'public'
  /** Who may send callbacks. */
  | 'send'
  /** Who may follow the callbacks of a workspace: its readers, and its senders too. */
  | 'follow'
  /** Who may read everything of a workspace. */
  | 'read'
  /** Who may change a workspace and its keys. */
  | 'manage'
  /** Agents, which work on the callbacks that they have leased. */
  | 'agent'
  /** Who may do everything in every workspace. */
  | 'superuser'
  /** Operators, at the admin port. That port has no keys. */
  | 'operator'

/** The kind of requests that a route counts as, for the limits of a workspace. The requests of `none` do not count. */
export type Limits = 'none' | 'callbacks' | 'reads'

/** What of a route the gate and the OpenAPI document need. */
interface Guarded {
  readonly access: Access
  readonly limits: Limits
}

/** Where a caller puts its key, as OpenAPI says it. */
const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'The key in `Authorization: Bearer`.' },
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
  apiKeyInQuery: { type: 'apiKey', in: 'query', name: 'api_key', description: 'For callers that cannot set headers. Prefer a header.' },
} as const

const WORKSPACE = {
  description: 'Name of the workspace. Absent: that of the key, or `default`.',
  schema: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }),
}

const PARAMETERS = {
  WorkspaceId: { name: 'workspace_id', in: 'query', required: false, ...WORKSPACE },
  WorkspaceHeader: { name: 'X-Workspace', in: 'header', required: false, ...WORKSPACE },
} as const

/** The headers of every answer of a workspace that has `requests_per_second`. */
export const RATE_HEADERS = {
  RateLimitPolicy: {
    description: 'The limit of the workspace, if it has one.',
    schema: Type.String({ examples: ['"default";q=100;w=1'] }),
  },
  RateLimit: { description: 'What is left of the limit at this replica.', schema: Type.String({ examples: ['"default";r=37;t=1'] }) },
} as const

/** Codes that a request can get because of its key or its workspace. */
const ACCESS_PROBLEMS = [
  'key_required',
  'invalid_key',
  'not_found',
  'workspace_not_found',
  'too_many_failures',
  'storage_unavailable',
] as const
const MANAGE_PROBLEMS = ['host_not_allowed', 'cross_site'] as const
const LIMIT_PROBLEMS = ['too_many_requests', 'too_many_active'] as const

/** The query parameters that every route of this access takes, in addition to its own. */
export function accessParametersOf(access: Access): readonly string[] {
  return hasCallers(access) ? [PARAMETERS.WorkspaceId.name, SECURITY_SCHEMES.apiKeyInQuery.name] : []
}

/** Codes of the problems that a route can return because of its access and its limits. */
export function accessProblemsOf({ access, limits }: Guarded): readonly string[] {
  if (!hasCallers(access)) return []
  const isManaging = access === 'manage' || access === 'superuser'
  return [...ACCESS_PROBLEMS, ...(isManaging ? MANAGE_PROBLEMS : []), ...(limits === 'none' ? [] : LIMIT_PROBLEMS)]
}

/** What an operation says about the keys that it needs. @param isOpen whether callers may come without one */
export function securityOf({ access }: Guarded, isOpen: boolean): object {
  if (!hasCallers(access)) return access === 'public' ? { security: [] } : {}
  return { security: [...(isOpen ? [{}] : []), ...Object.keys(SECURITY_SCHEMES).map(name => ({ [name]: [] }))] }
}

/** References to the parameters that every operation with callers has. */
export function accessReferencesOf({ access }: Guarded): object[] {
  return hasCallers(access) ? Object.keys(PARAMETERS).map(name => ({ $ref: `#/components/parameters/${name}` })) : []
}

/** References to the headers of a limit. */
export function rateReferencesOf({ access, limits }: Guarded): object {
  if (!hasCallers(access) || limits === 'none') return {}
  return {
    'RateLimit-Policy': { $ref: '#/components/headers/RateLimitPolicy' },
    RateLimit: { $ref: '#/components/headers/RateLimit' },
  }
}

/** The components to which the operations refer. A port without callers has none. */
export function accessComponents(routes: readonly Guarded[]): object {
  return routes.some(({ access }) => hasCallers(access)) ? { securitySchemes: SECURITY_SCHEMES, parameters: PARAMETERS } : {}
}

function hasCallers(access: Access): boolean {
  return access !== 'public' && access !== 'operator'
}
