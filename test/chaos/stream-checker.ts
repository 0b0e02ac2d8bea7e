import type { StoredCallback, Transition } from './history.ts'

/** What a listener of one workspace knows at the end of a run. */
export interface Heard {
  /** When it last began anew, in epoch milliseconds, and had its first callbacks. What ended before that, nobody told it. */
  readonly sinceMs: number
  /** The last state that it heard of each callback since then. */
  readonly states: ReadonlyMap<string, string>
}

/** Finds callbacks whose last state no message of the stream has told, or that another workspace was told about. */
export function checkStream(
  rows: readonly StoredCallback[],
  transitions: readonly Transition[],
  heard: ReadonlyMap<string, Heard>,
): string[] {
  const endedAtMs = new Map(transitions.map(({ callbackId, atMs }) => [callbackId, atMs]))
  return rows.flatMap(({ id, workspace, state }) => {
    const listener = heard.get(workspace)
    const told = listener?.states.get(id)
    if (!listener || told === state) return []
    // Whatever it was told must be right in the end. What happened before it began, it need not be told.
    if (told === undefined && (endedAtMs.get(id) ?? 0) < listener.sinceMs) return []
    return [`callback ${id} of ${workspace} is ${state}, and its listener heard ${told ?? 'nothing'}`]
  })
}
