/** A callback in a list or in the stream: see docs/http-api.md. */
export interface ListedCallback {
  readonly kind: 'Callback'
  readonly id: string
  readonly href: string
  readonly workspace: string
  readonly state: CallbackState
  readonly activated: boolean
  readonly priority: number
  readonly attempts: number
  readonly object_count: number
  readonly received_at: string
  readonly due_at?: string
  readonly finished_at?: string
  readonly request_id?: string
  readonly trace_id?: string
  /** Labels that an agent needs for it. Absent or null: those of the workspace. */
  readonly agent_labels?: readonly string[] | null
  /** Id of the agent that alone may lease it. */
  readonly assigned_to?: string | null
}

export const CALLBACK_STATES = ['pending', 'running', 'paused', 'completed', 'failed', 'cancelled'] as const

export type CallbackState = (typeof CALLBACK_STATES)[number]

/** A single callback, with its objects. Ids beyond 2^53 are strings. */
export interface Callback extends ListedCallback {
  readonly objects: readonly CallbackObject[]
}

export interface CallbackObject {
  readonly id: number | string
  readonly outcome: string
  readonly reason?: string
}

/** A page of `GET /v1/callbacks`, newest first. */
export interface CallbackPage {
  readonly items: readonly ListedCallback[]
  /** Path of the page after it, with its query. */
  readonly next?: string
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export function isCallbackId(text: string): boolean {
  return UUID.test(text)
}

/** Shortens an id. Ids of callbacks begin with their time, so those of one moment differ at the end. */
export function shortId(id: string): string {
  return `${id.slice(0, 8)}…${id.slice(-4)}`
}

export function isFinished({ state }: Pick<ListedCallback, 'state'>): boolean {
  return state === 'completed' || state === 'failed' || state === 'cancelled'
}

/** The order of lists: the callback that was received last comes first. */
export function newestFirst(a: ListedCallback, b: ListedCallback): number {
  if (a.received_at !== b.received_at) return a.received_at < b.received_at ? 1 : -1
  if (a.id === b.id) return 0
  return a.id < b.id ? 1 : -1
}
