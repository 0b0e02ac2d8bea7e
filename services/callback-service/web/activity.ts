import type { Activity } from './activity-types.ts'
import { ask, Problem, withQuery } from './api.ts'
import { Poll } from './poll.ts'
import { ActivityRows } from './rows.ts'
import { learnTime } from './service-clock.ts'
import { loadSession, session } from './session.ts'
import { Store } from './store.ts'

export interface Connection {
  readonly state: 'connecting' | 'live' | 'lost'
  /** When the service answered last, by the browser's clock: epoch milliseconds. The page was opened then if it never has. */
  readonly answeredAt: number
  /** Why it is lost, if the service has said so. */
  readonly problem: string | undefined
}

/** The newest answer of `GET /activity`. It stays while the connection is lost. `rows` changes just before it. */
export const activity = new Store<Activity | undefined>(undefined)

/** The last 15 minutes. */
export const rows = new ActivityRows()

/** Whether the service answers. */
export const connection = new Store<Connection>({ state: 'connecting', answeredAt: Date.now(), problem: undefined })

/** A process that hangs is noticed within this time. */
const TIMEOUT_MS = 4000

/** Follows what the service does, for all views: one request at a time. It goes on forever. */
export function followActivity(): void {
  const poll = new Poll({ ask: askOnce, onFailure, isHidden: () => document.visibilityState === 'hidden' })
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && poll.hurry())
  addEventListener('online', () => poll.hurry())
  poll.start()
}

async function askOnce(): Promise<void> {
  if (!session.value) await loadSession()
  const after = activity.value?.cursor
  const answer = await ask<Activity>(withQuery('activity', { after }), { timeoutMs: TIMEOUT_MS })
  // Another process answers, or this page slept for long: then there may be a new version too.
  if (after !== undefined && answer.from_start) await loadSession()
  learnTime(answer.now.database_at)
  rows.add(answer)
  activity.set(answer)
  connection.set({ state: 'live', answeredAt: Date.now(), problem: undefined })
}

function onFailure(error: unknown): void {
  const { answeredAt } = connection.value
  connection.set({ state: 'lost', answeredAt, problem: error instanceof Problem ? error.message : undefined })
}
