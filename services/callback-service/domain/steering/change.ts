import type { CallbackState } from '../callback.ts'

/** A change of a callback that somebody outside asks for. */
export type Change =
  /** No worker claims it. If it runs, its attempt goes on, and there is no further one. */
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  /** @param priority -100 to 100; higher is claimed first */
  | { readonly kind: 'prioritise'; readonly priority: number }
  | { readonly kind: 'cancel' }
  /** Agents need these labels for it. Null: those of its workspace. */
  | { readonly kind: 'label'; readonly agentLabels: readonly string[] | null }
  /** One more round: of all objects, or of those that are not stored. Attempts and crashes count from 0 again. */
  | { readonly kind: 'retry'; readonly objects: 'all' | 'missing'; readonly priority?: number }

export const MIN_PRIORITY = -100
export const MAX_PRIORITY = 100

/** The states in which a callback can be changed. A callback in another state stays as it is. */
export const CHANGEABLE = {
  pause: ['pending', 'running'],
  resume: ['paused', 'pending', 'running'],
  prioritise: ['pending', 'paused', 'running'],
  cancel: ['pending', 'paused'],
  label: ['pending', 'paused', 'running'],
  retry: ['completed', 'failed', 'cancelled'],
} as const satisfies Readonly<Record<Change['kind'], readonly CallbackState[]>>
