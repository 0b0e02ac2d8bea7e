export interface KnownKeysOptions {
  /** Maximum number of keys to remember. The oldest half is dropped at once, which costs less than dropping keys one by one. */
  readonly max: number
  /** Time after which the database may have forgotten a key. */
  readonly forgetAfterMs: number
  /** A clock that never steps. */
  readonly nowMs: () => number
}

interface Owner {
  readonly id: string
  readonly atMs: number
}

/**
 * Remembers which callback has an idempotency key, for the callbacks that the database recently took from this process. The spool asks it
 * while the database cannot be asked. Keys are scoped (see `scopedKey`).
 */
export class KnownKeys {
  readonly #options: KnownKeysOptions
  #young = new Map<string, Owner>()
  #old = new Map<string, Owner>()

  constructor(options: KnownKeysOptions) {
    this.#options = options
  }

  remember(key: string, id: string): void {
    const { max, nowMs } = this.#options
    this.#young.set(key, { id, atMs: nowMs() })
    if (this.#young.size < max / 2) return
    this.#old = this.#young
    this.#young = new Map()
  }

  /** @returns the id of the callback that has the key; undefined if the key is unknown or may be free again */
  ownerOf(key: string): string | undefined {
    const owner = this.#young.get(key) ?? this.#old.get(key)
    return owner && this.#options.nowMs() - owner.atMs < this.#options.forgetAfterMs ? owner.id : undefined
  }
}
