import type { SentCallback, StoredCallback } from './history.ts'

/** Finds the callback from which a row was made: by its object ids, and by its key if it has one. */
export class Origins {
  readonly #sent: ReadonlyMap<string, readonly SentCallback[]>
  readonly #rows: ReadonlyMap<string, readonly StoredCallback[]>

  constructor(sent: readonly SentCallback[], rows: readonly StoredCallback[]) {
    this.#sent = Map.groupBy(sent, contentOf)
    this.#rows = Map.groupBy(rows, contentOf)
  }

  /** @returns the callback from which the row was made; undefined if nobody sent such a callback */
  of(row: StoredCallback): SentCallback | undefined {
    return this.#sent.get(contentOf(row))?.find(callback => belongs(row, callback))
  }

  rowsOf(callback: SentCallback): readonly StoredCallback[] {
    return this.#rows.get(contentOf(callback))?.filter(row => belongs(row, callback)) ?? []
  }
}

function contentOf({ workspace, objectIds }: { readonly workspace: string; readonly objectIds: readonly number[] }): string {
  return `${workspace} ${objectIds}`
}

/** A row without a key matches too: its rival has the key, and no other callback names the same objects. */
function belongs(row: StoredCallback, { key }: SentCallback): boolean {
  return row.key === null || row.key === key
}
