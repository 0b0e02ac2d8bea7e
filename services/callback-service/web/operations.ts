import { int64Of } from './callback-filter.ts'
import type { CallbackState } from './callbacks.ts'
import { duration, number } from './format.ts'
import type { Action } from './steering.ts'

/** One change of many callbacks: see docs/http-api.md. */
export interface Operation {
  readonly id: string
  readonly change: { readonly kind: Action['kind']; readonly priority?: number; readonly objects?: string }
  readonly filter: OperationFilter
  readonly state: 'counting' | 'running' | 'completed' | 'aborted'
  readonly dry_run: boolean
  readonly matched: number
  readonly done: number
  readonly skipped: number
  readonly rate_per_second: number | null
  readonly eta_ms: number | null
  readonly created_at: string
  readonly finished_at?: string
}

interface OperationFilter {
  readonly state?: CallbackState
  readonly reason?: string
  readonly object_id?: number | string
  readonly received_after?: string
  readonly received_before?: string
}

/** What the form of an operation has in its fields, as text. Empty: not chosen. */
export interface OperationForm {
  readonly kind: Action['kind']
  readonly state: CallbackState | ''
  readonly reason: string
  readonly objectId: string
  /** Local times, as `<input type="datetime-local">` writes them. */
  readonly receivedAfter: string
  readonly receivedBefore: string
  readonly objects: 'missing' | 'all'
  readonly rate: string
  readonly priority: string
}

/** States in which each change is possible. */
export const STATES_OF: Readonly<Record<Action['kind'], readonly CallbackState[]>> = {
  retry: ['failed', 'completed', 'cancelled'],
  cancel: ['pending', 'paused'],
  pause: ['pending', 'running'],
  resume: ['paused', 'running'],
  prioritise: ['pending', 'paused', 'running'],
}

/** Writes the body of `POST /v1/operations`. @throws {Error} a field is not valid; the message is for the operator */
export function bodyOf(form: OperationForm, isDryRun: boolean): object {
  const { kind, state, reason, objects, rate, priority } = form
  const objectId = form.objectId.trim() === '' ? undefined : int64Of(form.objectId)
  if (form.objectId.trim() !== '' && objectId === undefined) throw new Error('The object id is not a 64-bit integer.')
  if (kind === 'prioritise' && priority.trim() === '') throw new Error('Say which priority the callbacks get.')
  const wantsPriority = (kind === 'prioritise' || kind === 'retry') && priority.trim() !== ''
  const filter = {
    ...(state && { state }),
    ...(reason.trim() && { reason: reason.trim() }),
    ...(objectId !== undefined && { object_id: objectId }),
    ...(form.receivedAfter && { received_after: new Date(form.receivedAfter).toISOString() }),
    ...(form.receivedBefore && { received_before: new Date(form.receivedBefore).toISOString() }),
  }
  return {
    kind,
    filter,
    dry_run: isDryRun,
    ...(kind === 'retry' && { objects }),
    ...(rate.trim() && { rate_per_second: Number(rate) }),
    ...(wantsPriority && { priority: Number(priority) }),
  }
}

export function isUnderWay({ state }: Pick<Operation, 'state'>): boolean {
  return state === 'counting' || state === 'running'
}

/** Says what an operation does, or did: `Retry failed callbacks with reason http_500: missing objects, priority -10, 50 a second`. */
export function operationText({ change, filter, rate_per_second: rate }: Pick<Operation, 'change' | 'filter' | 'rate_per_second'>): string {
  const { kind, priority, objects } = change
  const conditions = [
    filter.reason && `with reason ${filter.reason}`,
    filter.object_id !== undefined && `that name object ${filter.object_id}`,
    filter.received_after && `received from ${new Date(filter.received_after).toLocaleString()} on`,
    filter.received_before && `received before ${new Date(filter.received_before).toLocaleString()}`,
  ].filter(Boolean)
  const details = [
    objects && `${objects} objects`,
    priority !== undefined && `priority ${priority}`,
    rate === null ? 'as fast as it can' : `${number(rate)} a second`,
  ].filter(Boolean)
  const which = filter.state ?? STATES_OF[kind].join(' or ')
  return `${kind.charAt(0).toUpperCase()}${kind.slice(1)} ${[`${which} callbacks`, ...conditions].join(' ')}: ${details.join(', ')}`
}

/** Says how far an operation is. */
export function progressText({ state, dry_run, matched, done, skipped, eta_ms }: Operation): string {
  const match = `${number(matched)} ${matched === 1 ? 'matches' : 'match'}`
  if (state === 'counting') return `Counting: ${match} so far`
  if (dry_run) return state === 'aborted' ? `Counting was aborted at ${number(matched)}` : `Only counted: ${match}`
  const changed = `${number(done)} of ${number(matched)} changed`
  if (state === 'running') return eta_ms === null ? changed : `${changed}, ${duration(eta_ms)} to go at the longest`
  const left = skipped > 0 ? `, ${number(skipped)} no longer matched` : ''
  return state === 'aborted' ? `Aborted: ${changed}` : `${changed}${left}`
}
