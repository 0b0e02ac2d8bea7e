import { type CallbackState, isFinished, type ListedCallback } from './callbacks.ts'

/** What an operator can do to a callback. */
export type Action =
  | { readonly kind: 'retry'; readonly objects: 'missing' | 'all' }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'prioritise'; readonly priority: number }

export interface SteeringRequest {
  readonly path: string
  readonly method: 'POST' | 'PATCH' | 'DELETE'
  readonly body?: object
}

/** Seconds that the worker of a running callback has to give it back, before it can be cancelled. */
const CANCEL_WAIT_SECONDS = 10

export const MIN_PRIORITY = -100
export const MAX_PRIORITY = 100

/** Whether the service would do it now. */
export function canDo(kind: Action['kind'], callback: Pick<ListedCallback, 'state' | 'activated'>): boolean {
  if (kind === 'retry') return isFinished(callback)
  if (isFinished(callback)) return false
  if (kind === 'pause') return callback.activated
  if (kind === 'resume') return !callback.activated
  return true
}

/** Returns the request that does it. Each can be repeated: the service refuses what is done already, or changes nothing. */
export function requestOf(action: Action, id: string, workspace: string): SteeringRequest {
  const query = `workspace_id=${encodeURIComponent(workspace)}`
  const path = `v1/callbacks/${id}`
  switch (action.kind) {
    case 'retry':
      return { path: `${path}/retry?${query}`, method: 'POST', body: { objects: action.objects } }
    case 'cancel':
      return { path: `${path}?wait=${CANCEL_WAIT_SECONDS}&${query}`, method: 'DELETE' }
    case 'pause':
      return { path: `${path}?${query}`, method: 'PATCH', body: { activated: false } }
    case 'resume':
      return { path: `${path}?${query}`, method: 'PATCH', body: { activated: true } }
    case 'prioritise':
      return { path: `${path}?${query}`, method: 'PATCH', body: { priority: action.priority } }
  }
}

/** Says what has happened, for people who do not see the row change. */
export function doneText(action: Action, state: CallbackState): string {
  switch (action.kind) {
    case 'retry':
      return action.objects === 'all' ? 'It goes one more round, with all objects.' : 'It goes one more round, with the missing objects.'
    case 'cancel':
      return 'It is cancelled.'
    case 'pause':
      return state === 'running' ? 'Its attempt goes on. Then it is paused, if that does not finish it.' : 'It is paused.'
    case 'resume':
      return state === 'running' ? 'It is not paused after this attempt.' : 'It waits for a worker again.'
    case 'prioritise':
      return `Its priority is ${action.priority}.`
  }
}

/** Says why the service did not do it. A 409 means that the callback is not as the page showed it: somebody else was faster. */
export function refusalText(problem: { readonly status?: number; readonly code?: string; readonly message: string }): string {
  const { status, code, message } = problem
  if (status === undefined) return `${message} Nobody knows whether it was done. Look at the state before you repeat it.`
  if (status === 409) return `Nothing was changed, because the callback has changed meanwhile. ${message} (${code})`
  if (code === 'not_found') return 'Nothing was changed, because your key may not change callbacks. (not_found)'
  return `Nothing was changed. ${message} (${code})`
}
