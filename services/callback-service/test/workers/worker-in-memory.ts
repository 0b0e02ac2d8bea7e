import type { Recall } from '#fetching/recall.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import type { ClaimQuota } from '../../domain/processing/claim-quota.ts'
import type { ClaimedCallback, Verdict } from '../../domain/processing/claimed-callback.ts'
import { CallbackWorker, type CallbackWorkerOptions, type Claims } from '../../workers/callback-worker.ts'
import { logger } from './silent-logger.ts'

const HOUR_MS = 3_600_000

export const COMPLETED: Verdict = { state: 'completed', unstored: [] }
export const CRASHED: Verdict = { state: 'pending', unstored: [], delayMs: 1, isCharged: true }
export const INTERRUPTED: Verdict = { state: 'pending', unstored: [], delayMs: 0, isCharged: false }

export function claimed(id: string): ClaimedCallback {
  return {
    id,
    workspace: 'shop',
    token: 't',
    attempt: 1,
    crashes: 0,
    missingIds: [],
    unstored: [],
    receivedAtMs: 0,
    waitedMs: 0,
    freshFromMs: 0,
    trace: {},
    requestId: undefined,
  }
}

export function quotaFor(callbacks: number): ClaimQuota | undefined {
  return callbacks > 0 ? { shares: [{ workspace: 'shop', callbacks, objects: 1000, minAgeMs: 0 }] } : undefined
}

/** @returns the number of callbacks that a quota allows */
export function callbacksOf(quota: ClaimQuota): number {
  return 'shares' in quota ? quota.shares.reduce((sum, { callbacks }) => sum + callbacks, 0) : quota.suspects.callbacks
}

/** Makes a worker with an inbox in memory. The test ends the processing of each callback. The worker polls only once an hour. */
export function workerInMemory(changes: Partial<CallbackWorkerOptions> = {}, claims: Partial<Claims> = {}) {
  const inbox: ClaimedCallback[] = []
  const processing = new Map<string, { end: (verdict: Verdict) => void; crash: (error: Error) => void; recall: Recall }>()
  const seen = {
    claims: [] as [number, ClaimQuota][],
    settled: [] as [string, Verdict][],
    released: [] as string[],
    settledAs: [] as string[],
    arrived: [] as string[],
    left: [] as string[],
  }
  let hasActive = false
  const worker = new CallbackWorker({
    claims: {
      claim: async (number, quota) => {
        seen.claims.push([number, quota])
        return inbox.splice(0, callbacksOf(quota))
      },
      settle: async ({ id }, verdict) => {
        seen.settled.push([id, verdict])
        return verdict.state
      },
      release: ({ id }) => seen.released.push(id),
      ...claims,
    },
    workerNumber: () => 7,
    quota: running => quotaFor(100 - running),
    turns: {
      arrived: workspace => seen.arrived.push(workspace),
      claimed: (shares, callbacks) => {
        hasActive = callbacks.length === callbacksOf({ shares })
      },
      left: ({ id }) => seen.left.push(id),
      get hasActive() {
        return hasActive
      },
    },
    survey: async () => [],
    process: ({ id }, recall) => new Promise((end, crash) => processing.set(id, { end, crash, recall })),
    crashed: () => CRASHED,
    interrupt: async () => {
      for (const { end } of processing.values()) end(INTERRUPTED)
    },
    pollMs: HOUR_MS,
    emit: event => {
      if (event.event === 'settled') seen.settledAs.push(event.state)
    },
    logger,
    ...changes,
  })
  return {
    worker,
    inbox,
    processing,
    seen,
    put: (...ids: string[]): void => {
      inbox.push(...ids.map(claimed))
      worker.wake()
    },
    end: (id: string, verdict = COMPLETED): void => processing.get(id)?.end(verdict),
    started: (...ids: string[]): Promise<void> => eventually(`${ids} started`, () => ids.every(id => processing.has(id))),
    released: (...ids: string[]): Promise<void> => eventually(`${ids} released`, () => ids.every(id => seen.released.includes(id))),
  }
}
