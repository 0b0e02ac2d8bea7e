import type { SentCallback, StoredCallback } from './history.ts'

/** Which row was made from which callback: by its ids, and by its key where it has one. */
export class Origins {
  readonly #sent: ReadonlyMap<string, readonly SentCallback[]>
  readonly #rows: ReadonlyMap<string, readonly StoredCallback[]>

  constructor(sent: readonly SentCallback[], rows: readonly StoredCallback[]) {
    this.#sent = Map.groupBy(sent, contentOf)
    this.#rows = Map.groupBy(rows, contentOf)
  }

  /** @returns undefined for a row that nobody sent like that */
  of(row: StoredCallback): SentCallback | undefined {
    return this.#sent.get(contentOf(row))?.find(callback => belongs(row, callback))
  }

  rowsOf(callback: SentCallback): readonly StoredCallback[] {
    return this.#rows.get(contentOf(callback))?.filter(row => belongs(row, callback)) ?? []
  }
}

function contentOf({ objectIds }: { readonly objectIds: readonly number[] }): string {
  return objectIds.join()
}

/** Without a key are those whose rival has it, and nobody else names the objects of rivals. */
function belongs(row: StoredCallback, { key }: SentCallback): boolean {
  return row.key === null || row.key === key
}
