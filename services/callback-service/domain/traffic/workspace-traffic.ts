import type { Workspace } from '../workspaces/workspace.ts'
import type { LastReceipt } from './last-receipts.ts'
import type { TrafficSeries } from './traffic-minutes.ts'

/** How much of a limit is used. */
export interface LimitUse {
  readonly name: 'requests_per_second' | 'active_requests' | 'unfinished_callbacks'
  /** The limit over all replicas. */
  readonly limit: number
  /** What this replica allows: its share, or the limit itself if the number is that of all replicas. */
  readonly allowed: number
  /** Null: nobody knows. */
  readonly used: number | null
}

/** What one workspace did in the last 15 minutes, and how it is. */
export interface WorkspaceTraffic extends TrafficSeries {
  readonly workspace: Workspace
  readonly lastReceipt: LastReceipt
  readonly isSilent: boolean
  /** Callbacks that are not finished, paused ones included; null before the first count. */
  readonly unfinished: number | null
  /** Those of them that are paused. */
  readonly paused: number | null
  readonly limits: readonly LimitUse[]
}

/** The traffic of the whole database, as of the last time that it was read. */
export interface Traffic {
  /** The start of the oldest minute, by the database's clock. */
  readonly fromMs: number
  /** The database's time when it was read. */
  readonly toMs: number
  /** Time since then, by a monotonic clock. */
  readonly ageMs: number
  /** Everything that the database has of the time from then on is counted. */
  readonly completeFromMs: number
  readonly workspaces: readonly WorkspaceTraffic[]
}

export const TRAFFIC_ORDERS = ['traffic', 'failures', 'silence', 'limits', 'name'] as const

export type TrafficOrder = (typeof TRAFFIC_ORDERS)[number]

/** Sorts by what an operator looks for, the most of it first; names decide between equal ones. */
export function inOrder(workspaces: readonly WorkspaceTraffic[], order: TrafficOrder): WorkspaceTraffic[] {
  const weights = new Map(workspaces.map(each => [each, WEIGHTS[order](each)]))
  const weightOf = (each: WorkspaceTraffic): number => weights.get(each) as number
  return workspaces.toSorted((a, b) => weightOf(b) - weightOf(a) || compareNames(a.workspace.name, b.workspace.name))
}

const WEIGHTS: Readonly<Record<TrafficOrder, (traffic: WorkspaceTraffic) => number>> = {
  traffic: ({ received }) => sumOf(received),
  failures: ({ failed }) => sumOf(failed),
  // The silent ones first. Among equals, who was heard last comes last.
  silence: ({ isSilent, lastReceipt }) => (isSilent ? FAR_MS : 0) - (lastReceipt.atMs ?? FAR_MS),
  limits: ({ limits }) => Math.max(-1, ...limits.map(shareOf)),
  name: () => 0,
}

/** Longer than any time since 1970. */
const FAR_MS = 1e14

export function sumOf(numbers: readonly (number | null)[]): number {
  return numbers.reduce<number>((sum, number) => sum + (number ?? 0), 0)
}

/** The share of a limit that is used; 0 if nobody knows. */
function shareOf({ used, allowed }: LimitUse): number {
  return (used ?? 0) / allowed
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
