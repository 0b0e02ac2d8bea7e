import { ask } from './api.ts'
import type { Callback } from './callbacks.ts'
import { type Action, requestOf } from './steering.ts'

/**
 * Does something to a callback.
 * @returns the callback after it; undefined if the service does not show it
 * @throws {Problem} the service refused @throws {Unreachable} nobody knows whether it did it
 */
export async function steer(action: Action, id: string, workspace: string): Promise<Callback | undefined> {
  const { path, method, body } = requestOf(action, id, workspace)
  const changed = await ask<Callback | undefined>(path, { method, ...(body && { body }) })
  // What is cancelled is not shown by the answer.
  return changed ?? (await ask<Callback>(`v1/callbacks/${id}?workspace_id=${encodeURIComponent(workspace)}`).catch(() => undefined))
}
