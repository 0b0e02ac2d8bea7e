import { ask, Problem, withQuery } from './api.ts'
import { Poll } from './poll.ts'
import { accessKey } from './session.ts'
import { Store } from './store.ts'

/** What `GET /v1/traffic` says: see docs/http-api.md. */
export interface Traffic {
  readonly from: string
  readonly to: string
  readonly age_ms: number
  readonly is_complete: boolean
  readonly complete_from: string
  readonly total: number
  readonly workspaces: readonly WorkspaceTraffic[]
}

export interface WorkspaceTraffic {
  readonly workspace: string
  /** Of each minute, the newest last; null: not read. */
  readonly received: readonly (number | null)[]
  readonly failed: readonly (number | null)[]
  readonly received_total: number
  readonly failed_total: number
  readonly last_received_at: string | null
  readonly last_received_precision: 'exact' | 'hour' | 'none' | 'unknown'
  readonly usual_gap_seconds: number | null
  readonly is_silent: boolean
  readonly unfinished: number | null
  readonly paused: number | null
  readonly fetcher: 'service' | 'agents'
  readonly is_paused: boolean
  readonly is_archived: boolean
  readonly limits: readonly LimitUse[]
}

export interface LimitUse {
  readonly name: 'requests_per_second' | 'active_requests' | 'unfinished_callbacks'
  readonly limit: number
  readonly allowed: number
  readonly used: number | null
  readonly share: number | null
}

export type TrafficOrder = 'traffic' | 'failures' | 'silence' | 'limits' | 'name'

/** What the view asks for. */
export interface TrafficQuery {
  readonly sort: TrafficOrder
  readonly name: string
  readonly limit: number
}

/** The newest answer. It stays while nobody answers, and while another view is shown. */
export interface KnownTraffic {
  readonly traffic: Traffic
  /** What it answers. */
  readonly query: TrafficQuery
  /** When it came, by the browser's clock. */
  readonly answeredAt: number
}

export const traffic = new Store<KnownTraffic | undefined>(undefined)

/** Why the last request failed; undefined if it did not. */
export const trafficProblem = new Store<string | undefined>(undefined)

// Another key may see other workspaces.
accessKey.subscribe(() => {
  traffic.set(undefined)
  trafficProblem.set(undefined)
})

const INTERVAL_MS = 5000
/** As the service accepts it. */
const NAME_PART = /^[A-Za-z0-9_-]{0,64}$/

/** Whether a workspace can have this in its name. */
export function isNamePart(text: string): boolean {
  return NAME_PART.test(text)
}

/** Asks for the traffic every 5 s while the page is visible. @returns a function that ends it */
export function followTraffic(query: TrafficQuery): () => void {
  let isOver = false
  const isHidden = (): boolean => document.visibilityState === 'hidden'
  const poll = new Poll({
    ask: async () => {
      if (isHidden() || !isNamePart(query.name)) return
      const answer = await ask<Traffic>(withQuery('v1/traffic', { ...query }))
      if (isOver) return
      traffic.set({ traffic: answer, query, answeredAt: Date.now() })
      trafficProblem.set(undefined)
    },
    onFailure: error => {
      if (!isOver) trafficProblem.set(textOf(error))
    },
    isHidden,
    intervalMs: () => INTERVAL_MS,
  })
  const onVisible = (): void => {
    if (!isHidden()) poll.hurry()
  }
  document.addEventListener('visibilitychange', onVisible)
  poll.start()
  return () => {
    isOver = true
    document.removeEventListener('visibilitychange', onVisible)
    poll.stop()
  }
}

function textOf(error: unknown): string {
  // What a key may not see is not found.
  if (error instanceof Problem && error.status === 404) return 'This key may not see the traffic. Its role must be read or manage.'
  return error instanceof Error ? error.message : String(error)
}
