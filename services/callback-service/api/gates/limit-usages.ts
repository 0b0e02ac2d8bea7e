import type { LimitUse } from '../../domain/traffic/workspace-traffic.ts'
import { RecentRate } from '../../domain/workspaces/recent-rate.ts'
import { RequestRate } from '../../domain/workspaces/request-rate.ts'
import type { Workspace } from '../../domain/workspaces/workspace.ts'

/** What this replica remembers of a workspace with limits. */
export interface Usage {
  readonly rate: RequestRate
  /** Requests that the rate allowed lately. */
  readonly recent: RecentRate
  active: number
}

/** What this replica remembers of all workspaces with limits. */
export class LimitUsages {
  readonly #each = new Map<string, Usage>()

  of(workspace: string): Usage {
    const known = this.#each.get(workspace)
    if (known) return known
    const fresh = { rate: new RequestRate(), recent: new RecentRate(), active: 0 }
    this.#each.set(workspace, fresh)
    return fresh
  }

  /**
   * Tells how near a workspace is to its limits. Requests are those of this replica, compared with its share.
   * @param options.nowMs of the monotonic clock that the gate has
   * @param options.unfinished callbacks of the workspace that are not finished; null if nobody knows
   */
  usesOf(
    { name, limits }: Workspace,
    { nowMs, replicas, unfinished }: { readonly nowMs: number; readonly replicas: number; readonly unfinished: number | null },
  ): LimitUse[] {
    const usage = this.#each.get(name)
    const { requestsPerSecond, activeRequests, unfinishedCallbacks } = limits
    const uses: LimitUse[] = []
    if (requestsPerSecond !== null) {
      const used = usage?.recent.perSecond(nowMs) ?? 0
      uses.push({ name: 'requests_per_second', limit: requestsPerSecond, allowed: requestsPerSecond / replicas, used })
    }
    if (activeRequests !== null) {
      const used = usage?.active ?? 0
      uses.push({ name: 'active_requests', limit: activeRequests, allowed: allowedAtOnce(activeRequests, replicas), used })
    }
    if (unfinishedCallbacks !== null)
      uses.push({ name: 'unfinished_callbacks', limit: unfinishedCallbacks, allowed: unfinishedCallbacks, used: unfinished })
    return uses
  }
}

/** This replica's share of the active requests of a workspace. */
export function allowedAtOnce(activeRequests: number, replicas: number): number {
  return Math.max(1, Math.floor(activeRequests / replicas))
}
