import type { ListedCallback } from '../../web/callbacks.ts'

/** Makes a callback as lists and the stream show it. @param n its place in time: a higher one was received later */
export function callback(n: number, changes: Partial<ListedCallback> = {}): ListedCallback {
  const id = `01a2012d-e90a-70df-bfc6-${String(n).padStart(12, '0')}`
  return {
    kind: 'Callback',
    id,
    href: `/v1/callbacks/${id}`,
    workspace: 'default',
    state: 'pending',
    activated: true,
    priority: 0,
    attempts: 0,
    object_count: 1,
    received_at: new Date(Date.UTC(2026, 10, 22, 3) + n).toISOString(),
    ...changes,
  }
}

/** The numbers of callbacks made by `callback`. */
export function numbersOf(callbacks: readonly ListedCallback[]): number[] {
  return callbacks.map(({ id }) => Number(id.slice(-12)))
}
