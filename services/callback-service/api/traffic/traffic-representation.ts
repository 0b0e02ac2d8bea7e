import Type from 'typebox'
import { WINDOW_MINUTES } from '../../domain/traffic/traffic-minutes.ts'
import { type LimitUse, sumOf, type Traffic, type WorkspaceTraffic } from '../../domain/traffic/workspace-traffic.ts'
import { FETCHERS } from '../../domain/workspaces/workspace.ts'
import { EXAMPLE_TIME, Time } from '../schemas.ts'
import { WorkspaceName } from '../workspaces/subject.ts'
import { hrefOfWorkspace } from '../workspaces/workspace-representation.ts'

/** Maximum number of workspaces in an answer. */
export const MAX_WORKSPACES = 1000

const Count = Type.Integer({ minimum: 0 })
const CountOrNull = Type.Union([Count, Type.Null()])
const Share = Type.Number({ minimum: 0 })
const minutes = (description: string) =>
  Type.Array(CountOrNull, {
    minItems: WINDOW_MINUTES,
    maxItems: WINDOW_MINUTES,
    description: `${description} of each minute, the newest last. Null: not read yet.`,
  })

const LimitSchema = Type.Object(
  {
    name: Type.Enum(['requests_per_second', 'active_requests', 'unfinished_callbacks']),
    limit: Type.Number({ description: 'The limit over all replicas.' }),
    allowed: Type.Number({ description: 'What this replica allows: its share. Of `unfinished_callbacks`: the limit.' }),
    used: Type.Union([Share, Type.Null()], { description: 'What this replica saw lately. Of `unfinished_callbacks`: of all replicas.' }),
    share: Type.Union([Share, Type.Null()], { description: '`used` divided by `allowed`.' }),
  },
  { additionalProperties: false },
)

const WorkspaceTrafficSchema = Type.Object(
  {
    kind: Type.Literal('WorkspaceTraffic'),
    workspace: WorkspaceName,
    href: Type.String({ description: 'Link to the workspace.' }),
    received: minutes('Callbacks received'),
    failed: minutes('Callbacks that failed'),
    received_total: Count,
    failed_total: Count,
    last_received_at: Type.Union([Time, Type.Null()]),
    last_received_precision: Type.Enum(['exact', 'hour', 'none', 'unknown'], {
      description: '`hour`: within the hour that begins then. `none`: nothing that the service remembers. `unknown`: not found so far.',
    }),
    usual_gap_seconds: Type.Union([Share, Type.Null()], {
      description: 'Usual time between two callbacks. Null: they come in half of the minutes or fewer.',
    }),
    is_silent: Type.Boolean({ description: 'Nothing came for three times the usual gap, and for two minutes at least.' }),
    unfinished: Type.Union([Count, Type.Null()], { description: 'Unfinished callbacks, paused ones included.' }),
    paused: Type.Union([Count, Type.Null()], { description: 'Paused callbacks.' }),
    fetcher: Type.Enum([...FETCHERS], { description: 'Who fetches the objects.' }),
    is_paused: Type.Boolean(),
    is_archived: Type.Boolean(),
    limits: Type.Array(LimitSchema),
  },
  { additionalProperties: false },
)

export const TrafficSchema = Type.Object(
  {
    kind: Type.Literal('Traffic'),
    href: Type.String(),
    from: { ...Time, description: 'Start of the oldest minute, by the clock of the database.' },
    to: { ...Time, description: 'When the database was read, by its clock. The newest minute goes on.' },
    step_seconds: Type.Literal(60),
    age_ms: Type.Integer({ minimum: 0, description: 'Time since the database was read.' }),
    is_complete: Type.Boolean({ description: 'Whether all 15 minutes are counted completely.' }),
    complete_from: { ...Time, description: 'The minutes from then on are counted completely.' },
    total: Type.Integer({ minimum: 0, description: 'Workspaces that match. The answer may have fewer.' }),
    workspaces: Type.Array(WorkspaceTrafficSchema, { maxItems: MAX_WORKSPACES }),
  },
  { additionalProperties: false },
)

export function trafficBody(
  traffic: Traffic,
  found: readonly WorkspaceTraffic[],
  { href, limit }: { href: string; limit: number },
): object {
  return {
    kind: 'Traffic',
    href,
    from: new Date(traffic.fromMs),
    to: new Date(traffic.toMs),
    step_seconds: 60,
    age_ms: Math.round(traffic.ageMs),
    is_complete: traffic.completeFromMs <= traffic.fromMs,
    complete_from: new Date(traffic.completeFromMs),
    total: found.length,
    workspaces: found.slice(0, limit).map(workspaceBody),
  }
}

function workspaceBody({ workspace, received, failed, lastReceipt, isSilent, unfinished, paused, limits }: WorkspaceTraffic): object {
  const { atMs, precision, usualGapMs } = lastReceipt
  return {
    kind: 'WorkspaceTraffic',
    workspace: workspace.name,
    href: hrefOfWorkspace(workspace.name),
    received,
    failed,
    received_total: sumOf(received),
    failed_total: sumOf(failed),
    last_received_at: atMs === null ? null : new Date(atMs),
    last_received_precision: precision,
    usual_gap_seconds: usualGapMs === null ? null : rounded(usualGapMs / 1000),
    is_silent: isSilent,
    unfinished,
    paused,
    fetcher: workspace.fetcher,
    is_paused: workspace.isPaused,
    is_archived: workspace.archivedAt !== null,
    limits: limits.map(limitBody),
  }
}

function limitBody({ name, limit, allowed, used }: LimitUse): object {
  return {
    name,
    limit,
    allowed: rounded(allowed),
    used: used === null ? null : rounded(used),
    share: used === null ? null : rounded(used / allowed),
  }
}

/** Three digits after the point are enough for people. */
function rounded(number: number): number {
  return Math.round(number * 1000) / 1000
}

const NO_MINUTES = Array.from({ length: WINDOW_MINUTES }, () => 0)

export const TRAFFIC_EXAMPLE = {
  kind: 'Traffic',
  href: '/v1/traffic?sort=traffic&limit=100',
  from: '2026-11-22T02:41:00.000Z',
  to: EXAMPLE_TIME,
  step_seconds: 60,
  age_ms: 1200,
  is_complete: true,
  complete_from: '2026-11-22T02:41:00.000Z',
  total: 1,
  workspaces: [
    {
      kind: 'WorkspaceTraffic',
      workspace: 'shop',
      href: hrefOfWorkspace('shop'),
      received: NO_MINUTES.with(13, 118).with(14, 2),
      failed: NO_MINUTES.with(13, 1),
      received_total: 120,
      failed_total: 1,
      last_received_at: '2026-11-22T02:55:14.000Z',
      last_received_precision: 'exact',
      usual_gap_seconds: null,
      is_silent: false,
      unfinished: 3,
      paused: 0,
      fetcher: 'service',
      is_paused: false,
      is_archived: false,
      limits: [{ name: 'requests_per_second', limit: 100, allowed: 50, used: 1.9, share: 0.038 }],
    },
  ],
}
