/** The workspace of everything that names none. It always exists, has no limits, and cannot be archived. */
export const DEFAULT_WORKSPACE = 'default'

/** The name of a workspace. It never changes. */
export const WORKSPACE_NAME = /^[A-Za-z0-9_-]{1,64}$/

/**
 * One integration: its senders, keys, limits, objects and client service. Where a member is null, the setting of the service applies.
 */
export interface Workspace {
  readonly name: string
  readonly description: string
  /** URL of its own client service. */
  readonly clientServiceUrl: string | null
  readonly ttlSeconds: number | null
  readonly keepOffline: boolean | null
  /** Secrets of its senders, as Standard Webhooks writes them; several during a rotation. Empty: the setting of the service applies. */
  readonly signingSecrets: readonly string[]
  /** Whether the workspace accepts callbacks without working on them. */
  readonly isPaused: boolean
  /** Its share of the work while workspaces compete: twice the weight, twice the objects. */
  readonly weight: number
  readonly fetcher: Fetcher
  /** Labels that an agent needs for the callbacks of the workspace, unless a callback names its own. */
  readonly agentLabels: readonly string[]
  readonly limits: Limits
  readonly createdAt: Date
  /** An archived workspace accepts no callbacks, finishes those that it has, and stays readable. */
  readonly archivedAt: Date | null
}

export const FETCHERS = ['service', 'agents'] as const

/** Who fetches the objects of a workspace: the service itself, or agents beside a client service that it cannot reach. */
export type Fetcher = (typeof FETCHERS)[number]

/** The limits of a workspace over all replicas. Null: no limit. */
export interface Limits {
  readonly requestsPerSecond: number | null
  /** Requests that may come at once before `requestsPerSecond` applies. Null: those of one second. */
  readonly burst: number | null
  /** Requests under way at a time. */
  readonly activeRequests: number | null
  readonly unfinishedCallbacks: number | null
  /** Size of the body of a callback. The setting of the service applies as well. */
  readonly bodyBytes: number | null
  /** Object ids in one callback. The setting of the service applies as well. */
  readonly objectIds: number | null
}

export const NO_LIMITS: Limits = {
  requestsPerSecond: null,
  burst: null,
  activeRequests: null,
  unfinishedCallbacks: null,
  bodyBytes: null,
  objectIds: null,
}
