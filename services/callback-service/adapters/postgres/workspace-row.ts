import { Prisma } from '#prisma'
import { DEFAULT_WORKSPACE, FETCHERS, type Limits, NO_LIMITS, type Workspace } from '../../domain/workspaces/workspace.ts'

/** A row of `workspaces` as JSON. `limits` has only the limits that are set. */
export interface WorkspaceRow {
  readonly name: string
  readonly description: string
  readonly client_service_url: string | null
  readonly ttl_seconds: number | null
  readonly keep_offline: boolean | null
  readonly signing_secrets: readonly string[]
  readonly paused: boolean
  readonly weight: number
  readonly fetcher: string | null
  readonly agent_labels: readonly string[]
  readonly limits: Partial<Limits>
  readonly created_at: string
  readonly archived_at: string | null
}

/** Whatever the row says, the default workspace has no limits and is not archived. */
export function workspaceOf(row: WorkspaceRow): Workspace {
  const isDefault = row.name === DEFAULT_WORKSPACE
  return {
    name: row.name,
    description: row.description,
    clientServiceUrl: row.client_service_url,
    ttlSeconds: row.ttl_seconds,
    keepOffline: row.keep_offline,
    signingSecrets: row.signing_secrets,
    isPaused: row.paused,
    weight: row.weight,
    fetcher: FETCHERS.find(fetcher => fetcher === row.fetcher) ?? 'service',
    agentLabels: row.agent_labels,
    limits: isDefault ? NO_LIMITS : { ...NO_LIMITS, ...row.limits },
    createdAt: new Date(row.created_at),
    archivedAt: isDefault || row.archived_at === null ? null : new Date(row.archived_at),
  }
}

/** The columns that a change can set, in the order of `valuesOf`. */
export const CHANGEABLE = Prisma.raw(`description, client_service_url, ttl_seconds, keep_offline, signing_secrets, paused, weight,
  fetcher, agent_labels, limits`)

export function valuesOf({ limits, ...workspace }: Workspace): Prisma.Sql {
  const given = Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== null))
  return Prisma.sql`${workspace.description}::text, ${workspace.clientServiceUrl}::text, ${workspace.ttlSeconds}::float8,
    ${workspace.keepOffline}::boolean, ${[...workspace.signingSecrets]}::text[], ${workspace.isPaused}::boolean, ${workspace.weight}::int,
    ${workspace.fetcher === 'service' ? null : workspace.fetcher}::text, ${[...workspace.agentLabels]}::text[], ${JSON.stringify(given)}::jsonb`
}
