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
}

export const CALLBACK_STATES = ['pending', 'running', 'paused', 'completed', 'failed', 'cancelled'] as const

export type CallbackState = (typeof CALLBACK_STATES)[number]

/** A single callback, with its objects. Ids beyond 2^53 are strings. */
export interface Callback extends ListedCallback {
  readonly objects: readonly { readonly id: number | string; readonly outcome: string; readonly reason?: string }[]
}
