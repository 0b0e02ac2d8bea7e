import { HttpProblem } from '#foundation/http/problems.ts'
import type { Gate } from '#foundation/http/route.ts'
import type { Limits } from '../../domain/workspaces/workspace.ts'
import { callerOf } from './caller-of.ts'
import { allowedAtOnce, type LimitUsages, type Usage } from './limit-usages.ts'

export interface LimitOptions {
  readonly usages: LimitUsages
  /** Living replicas, which share each limit: at least 1. */
  readonly replicas: () => number
  /** Seconds until a workspace may have room for another callback, if it may have `max` unfinished ones; 0 if it has room now. */
  readonly waitSeconds: (workspace: string, max: number) => number
  /** A monotonic clock. */
  readonly nowMs: () => number
}

/**
 * Makes the gate that keeps a workspace within its limits. It comes after `authorize`. This replica enforces its share of each limit. Routes
 * whose `limits` is `none` do not count. Every other answer of a workspace with `requests_per_second` has `RateLimit` and `RateLimit-Policy`
 * (https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10).
 * @returns a gate that throws HttpProblem: too_many_requests, too_many_active, backlog_full
 */
export function limitRequests({ usages, replicas, waitSeconds, nowMs }: LimitOptions): Gate {
  return (request, response, { access, limits: kind }) => {
    if (access === 'public' || kind === 'none') return
    const { name, limits } = callerOf(request).workspace
    const { requestsPerSecond, activeRequests, unfinishedCallbacks } = limits
    if (requestsPerSecond === null && activeRequests === null && unfinishedCallbacks === null) return
    const usage = usages.of(name)
    if (requestsPerSecond !== null) takeOne(usage, response, { ...limits, requestsPerSecond })
    if (unfinishedCallbacks !== null && kind === 'callbacks') requireRoom(name, unfinishedCallbacks)
    if (activeRequests !== null) begin(usage, response, activeRequests)
  }

  function takeOne({ rate, recent }: Usage, response: Parameters<Gate>[1], limits: Limits & { readonly requestsPerSecond: number }): void {
    const { requestsPerSecond } = limits
    const burst = Math.max(1, limits.burst ?? requestsPerSecond)
    const share = replicas()
    const now = nowMs()
    const verdict = rate.take(now, { perSecond: requestsPerSecond / share, burst: Math.max(1, burst / share) })
    const windowSeconds = Math.max(1, Math.ceil(burst / requestsPerSecond))
    response.setHeader('RateLimit-Policy', `"default";q=${Math.floor(burst)};w=${windowSeconds}`)
    response.setHeader('RateLimit', `"default";r=${verdict.remaining};t=${Math.ceil(verdict.fullInMs / 1000)}`)
    if (verdict.waitMs > 0) throw refusal('too_many_requests', 'The workspace has reached its requests per second.', verdict.waitMs / 1000)
    recent.count(now)
  }

  function requireRoom(name: string, most: number): void {
    const seconds = waitSeconds(name, most)
    if (seconds > 0) throw refusal('backlog_full', 'The workspace has reached its unfinished callbacks.', seconds)
  }

  function begin(usage: Usage, response: Parameters<Gate>[1], most: number): void {
    if (usage.active >= allowedAtOnce(most, replicas()))
      throw refusal('too_many_active', 'The workspace has reached its active requests.', 1)
    // The caller may have left while the gate looked up its key. Such a response never closes again.
    if (response.destroyed) return
    usage.active += 1
    response.once('close', () => {
      usage.active -= 1
    })
  }
}

function refusal(code: 'too_many_requests' | 'too_many_active' | 'backlog_full', detail: string, waitSeconds: number): HttpProblem {
  return new HttpProblem(code, detail, { headers: { 'Retry-After': String(Math.max(1, Math.ceil(waitSeconds))) } })
}
