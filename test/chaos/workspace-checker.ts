import type { SentCallback, StoredCallback, Stores } from './history.ts'
import { isUnreliable } from './objects.ts'

/**
 * Finds callbacks in another workspace than that of their sender, and objects that were stored for a workspace although none of its callbacks
 * names them. Every workspace names healthy objects of its own.
 */
export function checkWorkspaces(sent: readonly SentCallback[], rows: readonly StoredCallback[], stores: Stores): string[] {
  const workspaceOf = new Map(sent.map(({ key, workspace }) => [key, workspace]))
  const named = new Set([...sent, ...rows].flatMap(({ workspace, objectIds }) => objectIds.map(id => placeOf(workspace, id))))
  return [
    ...rows.flatMap(({ id, key, workspace }) => {
      const owner = key === null ? workspace : (workspaceOf.get(key) ?? workspace)
      return owner === workspace ? [] : [`callback ${id} of ${owner} is in ${workspace}`]
    }),
    ...[...stores.keys()]
      .filter(place => !named.has(place) && !isUnreliable(Number(place.split(' ')[1])))
      .map(place => `no callback named the stored object ${place}`),
  ]
}

/** The key of an object in `Stores`. */
export function placeOf(workspace: string, objectId: number): string {
  return `${workspace} ${objectId}`
}
