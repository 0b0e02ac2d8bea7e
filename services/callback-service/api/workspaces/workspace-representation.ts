import Type, { type TSchema } from 'typebox'
import { AGENT_LABEL, MAX_LABELS } from '../../domain/agents/agent.ts'
import { FETCHERS, type Limits, type Workspace } from '../../domain/workspaces/workspace.ts'
import {
  MAX_COUNT,
  MAX_DESCRIPTION,
  MAX_RATE,
  MAX_SECONDS,
  MAX_SECRETS,
  MAX_URL,
  MAX_WEIGHT,
  MIN_RATE,
  SIGNING_SECRET,
} from '../../domain/workspaces/workspace-changes.ts'
import { EXAMPLE_TIME, Time } from '../schemas.ts'
import { WorkspaceName } from './subject.ts'

export function hrefOfWorkspace(name: string): string {
  return `/v1/workspaces/${name}`
}

/** Writes a workspace for readers. It never shows the secrets of senders. */
export function workspaceBody(workspace: Workspace): object {
  const { name, description, clientServiceUrl, ttlSeconds, keepOffline, signingSecrets, isPaused, weight, fetcher, agentLabels, limits } =
    workspace
  return {
    kind: 'Workspace',
    id: name,
    href: hrefOfWorkspace(name),
    description,
    client_service_url: clientServiceUrl,
    ttl_seconds: ttlSeconds,
    keep_offline: keepOffline,
    signing_secret_count: signingSecrets.length,
    paused: isPaused,
    weight,
    fetcher,
    agent_labels: agentLabels,
    limits: limitsBody(limits),
    created_at: workspace.createdAt,
    archived_at: workspace.archivedAt,
  }
}

function limitsBody({ requestsPerSecond, burst, activeRequests, unfinishedCallbacks, bodyBytes, objectIds }: Limits): object {
  return {
    requests_per_second: requestsPerSecond,
    burst,
    active_requests: activeRequests,
    unfinished_callbacks: unfinishedCallbacks,
    body_bytes: bodyBytes,
    object_ids: objectIds,
  }
}

const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const Count = orNull(Type.Integer({ minimum: 1, maximum: MAX_COUNT }))
/** A line for people, without control characters. */
export const Line = (maxLength: number) => Type.String({ maxLength, pattern: '^[^\\x00-\\x1f\\x7f-\\x9f]*$' })

const LIMITS = {
  requests_per_second: orNull(Type.Number({ minimum: MIN_RATE, maximum: MAX_RATE })),
  burst: orNull(Type.Integer({ minimum: 1, maximum: MAX_RATE })),
  active_requests: Count,
  unfinished_callbacks: Count,
  body_bytes: Count,
  object_ids: Count,
}

/** Its usual form may have one more slash. */
const ClientServiceUrl = Type.String({ format: 'uri', maxLength: MAX_URL - 1, pattern: '^https?://[^\\s?#@\\\\]+$' })
const Seconds = Type.Number({ exclusiveMinimum: 0, maximum: MAX_SECONDS })
const Weight = Type.Integer({ minimum: 1, maximum: MAX_WEIGHT })

const FetcherName = Type.Enum([...FETCHERS], { description: 'Who fetches the objects: the service itself, or agents.' })
/** Labels of an agent, or those that an agent needs. */
export const Labels = Type.Array(Type.String({ pattern: AGENT_LABEL.source }), { maxItems: MAX_LABELS })

export const WorkspaceSchema = Type.Object(
  {
    kind: Type.Literal('Workspace'),
    id: WorkspaceName,
    href: Type.String(),
    description: Type.String(),
    client_service_url: orNull(Type.String()),
    ttl_seconds: orNull(Seconds),
    keep_offline: orNull(Type.Boolean()),
    signing_secret_count: Type.Integer({ minimum: 0, maximum: MAX_SECRETS, description: 'Nobody can read the secrets again.' }),
    paused: Type.Boolean(),
    weight: Weight,
    fetcher: FetcherName,
    agent_labels: Labels,
    limits: Type.Object(LIMITS, { additionalProperties: false }),
    created_at: Time,
    archived_at: orNull(Time),
  },
  { additionalProperties: false },
)

const CHANGES = {
  description: orNull(Line(MAX_DESCRIPTION)),
  client_service_url: orNull(ClientServiceUrl),
  ttl_seconds: orNull(Seconds),
  keep_offline: orNull(Type.Boolean()),
  signing_secrets: orNull(Type.Array(Type.String({ pattern: SIGNING_SECRET.source }), { maxItems: MAX_SECRETS })),
  paused: orNull(Type.Boolean()),
  weight: orNull(Weight),
  fetcher: orNull(FetcherName),
  agent_labels: orNull(Labels),
  limits: orNull(Type.Partial(Type.Object(LIMITS), { additionalProperties: false })),
}

/** What a change may contain. Null stands for the setting of the service, or for no limit. */
export const WorkspaceChangesSchema = Type.Partial(Type.Object(CHANGES), { additionalProperties: false })

export const NewWorkspaceSchema = Type.Object(
  { name: WorkspaceName, ...WorkspaceChangesSchema.properties },
  { additionalProperties: false, description: 'Absent members have the value that null stands for.' },
)

export const EXAMPLE_WORKSPACE = {
  kind: 'Workspace',
  id: 'shop',
  href: hrefOfWorkspace('shop'),
  description: 'Orders of the shop',
  client_service_url: 'https://shop.example/',
  ttl_seconds: null,
  keep_offline: null,
  signing_secret_count: 0,
  paused: false,
  weight: 1,
  fetcher: 'service',
  agent_labels: [],
  limits: {
    requests_per_second: 100,
    burst: null,
    active_requests: null,
    unfinished_callbacks: null,
    body_bytes: null,
    object_ids: null,
  },
  created_at: EXAMPLE_TIME,
  archived_at: null,
}
