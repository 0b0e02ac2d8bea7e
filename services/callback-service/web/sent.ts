import type { Fetches } from './activity-types.ts'
import { ask, Problem, withQuery } from './api.ts'
import type { Callback, ListedCallback } from './callbacks.ts'
import { caller, mayRead } from './caller.ts'
import { accessKey } from './session.ts'
import { Store } from './store.ts'
import { type Attempt, requestOf, seriesOf } from './try-request.ts'

/** The answer to a callback: a 202 with a forecast, or a 200 with the finished callback. */
export interface Receipt {
  readonly id: string
  readonly state: string
  readonly object_count: number
  /** Only in a 202. */
  readonly durability?: 'database' | 'spooled' | 'none'
  readonly backlog?: number
  readonly eta_ms?: number | null
}

/** A callback that the page sent. */
export interface Sent {
  /** Of this page: it has one before the service has answered. */
  readonly number: number
  readonly attempt: Attempt
  readonly sentAt: number
  readonly tookMs?: number
  readonly receipt?: Receipt
  readonly problem?: { readonly code: string; readonly text: string }
  readonly callback?: ListedCallback | Callback
  readonly fetches?: Fetches['fetches']
  /** The service no longer knows the callback. */
  readonly isGone?: boolean
}

const MAX_KEPT = 20
const AT_ONCE = 6

/** The callbacks that the page sent last, newest first. They stay while the operator looks at another view. */
export const sent = new Store<readonly Sent[]>([])

// Another key may not see them.
accessKey.subscribe(() => sent.set([]))

let numbers = 0

/** Sends a callback, or several. Resolves when all are answered. */
export async function sendSeries(attempt: Attempt, count: number): Promise<void> {
  const waiting = [...seriesOf(attempt, count)]
  const sendNext = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await sendOne(next)
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, sendNext))
}

async function sendOne(attempt: Attempt): Promise<void> {
  numbers += 1
  const number = numbers
  const sentAt = Date.now()
  const started = performance.now()
  sent.set([{ number, attempt, sentAt }, ...sent.value].slice(0, MAX_KEPT))
  const { path, headers, body } = requestOf(attempt)
  try {
    const timeoutMs = (attempt.waitSeconds + 15) * 1000
    const receipt = await ask<Receipt & Partial<Callback>>(path, { method: 'POST', headers, body, timeoutMs })
    const isFinished = receipt.objects !== undefined
    update(number, { receipt, tookMs: performance.now() - started, ...(isFinished && { callback: receipt as Callback }) })
  } catch (error) {
    const problem = { code: error instanceof Problem ? error.code : 'unreachable', text: (error as Error).message }
    update(number, { problem, tookMs: performance.now() - started })
  }
}

/** Takes over what the stream says. */
export function noteCallbacks(callbacks: readonly ListedCallback[]): void {
  const changed = new Map(callbacks.map(callback => [callback.id, callback]))
  for (const { number, receipt } of sent.value) {
    const callback = receipt && changed.get(receipt.id)
    if (callback) update(number, { callback })
  }
}

/** Whether a callback still changes by itself. */
export function isUnfinished({ receipt, callback, isGone }: Sent): boolean {
  return !isGone && receipt !== undefined && ['pending', 'running', 'paused'].includes(callback?.state ?? receipt.state)
}

/** Whether the outcomes of its objects are not known yet. */
export function lacksOutcomes(one: Sent): boolean {
  return one.receipt !== undefined && !one.isGone && !isUnfinished(one) && !(one.callback && 'objects' in one.callback)
}

/** Asks for the state of all callbacks that are not finished. What fails is asked for again when the stream comes back. */
export async function lookAtAll(): Promise<void> {
  for (const one of sent.value.filter(isUnfinished)) await readCallback(one).catch(() => undefined)
}

/** Asks how a callback is, and for its fetches while it runs. The stream may have named it before its receipt came. */
export async function look(one: Sent): Promise<void> {
  await readCallback(one)
  if (!isUnfinished(known(one)) || !mayRead(caller.value, one.attempt.workspace)) return
  const path = withQuery(`v1/callbacks/${one.receipt?.id}/fetches`, { workspace_id: one.attempt.workspace })
  update(one.number, { fetches: (await ask<Fetches>(path)).fetches })
}

async function readCallback(one: Sent): Promise<void> {
  const { number, receipt, attempt } = one
  const before = known(one).callback
  const path = withQuery(`v1/callbacks/${receipt?.id}`, { workspace_id: attempt.workspace })
  try {
    const callback = await ask<Callback>(path)
    // Otherwise the stream was faster, and this may be older.
    if (known(one).callback === before) update(number, { callback })
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'callback_not_found')) throw error
    update(number, { isGone: true })
  }
}

/** Returns what is known by now. */
function known(one: Sent): Sent {
  return sent.value.find(({ number }) => number === one.number) ?? one
}

function update(number: number, changes: Partial<Sent>): void {
  sent.set(sent.value.map(one => (one.number === number ? { ...one, ...changes } : one)))
}
