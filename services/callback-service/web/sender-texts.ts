import { age, number, timeOfDay } from './format.ts'
import type { LimitUse, WorkspaceTraffic } from './traffic.ts'

/**
 * Says when a workspace was last seen.
 * @param atMs the service's time of now
 */
export function lastSeenText({ last_received_at: at, last_received_precision: precision }: WorkspaceTraffic, atMs: number): string {
  if (at === null) return precision === 'none' ? 'nothing remembered' : 'not found so far'
  const text = `${age(atMs - Date.parse(at))} ago`
  return precision === 'hour' ? `at most ${text}` : text
}

/** Says what is usual for a workspace; empty if nothing is. */
export function usualText({ usual_gap_seconds: gap }: WorkspaceTraffic): string {
  if (gap === null) return ''
  const perSecond = 1 / gap
  return gap < 1 ? `usually ${number(perSecond)} a second` : `usually one every ${age(gap * 1000)}`
}

/** Says in words what the bars of a workspace show. */
export function minutesText({ received, failed, received_total: total, failed_total: failures }: WorkspaceTraffic): string {
  const known = received.filter(count => count !== null)
  const unknown = received.length - known.length
  return [
    `${number(total)} received, at most ${number(Math.max(0, ...known))} in a minute`,
    ...(received.length > 1 ? [`${number(received.at(-2) ?? 0)} in the last whole minute`] : []),
    ...(failures > 0 ? [`${number(failures)} failed in ${number(failed.filter(Boolean).length)} of the minutes`] : []),
    ...(unknown > 0 ? [`minutes not read yet: ${unknown}`] : []),
  ].join('; ')
}

const LIMIT_NAMES: Readonly<Record<LimitUse['name'], string>> = {
  requests_per_second: 'requests a second',
  active_requests: 'active requests',
  unfinished_callbacks: 'unfinished callbacks',
}

/** A limit is near from this share on. */
export const NEAR = 0.8

export interface LimitText {
  readonly name: string
  /** `12.5 of 50`. */
  readonly use: string
  /** `reached` or `near`; empty if it is far. */
  readonly mark: '' | 'near' | 'reached'
  /** More for those who want to know. */
  readonly title: string
}

export function limitText({ name, limit, allowed, used, share }: LimitUse): LimitText {
  const isShared = name !== 'unfinished_callbacks'
  return {
    name: LIMIT_NAMES[name],
    use: `${used === null ? 'unknown' : number(used)} of ${number(allowed)}`,
    mark: share === null || share < NEAR ? '' : share < 1 ? 'near' : 'reached',
    title: isShared
      ? `At this replica, lately. The limit is ${number(limit)} over all replicas; this replica allows ${number(allowed)}.`
      : `Of all replicas. The limit is ${number(limit)}.`,
  }
}

/** Says what of the counts may be missing; empty if nothing is. */
export function incompleteText({
  is_complete: isComplete,
  complete_from: from,
}: {
  readonly is_complete: boolean
  readonly complete_from: string
}): string {
  return isComplete ? '' : `The counts are complete from ${timeOfDay(from)} on.`
}
