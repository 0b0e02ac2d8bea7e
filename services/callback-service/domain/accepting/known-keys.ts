export interface KnownKeysOptions {
  /** No more than so many are remembered, and at least half as many: the oldest half goes at once, which costs less than one after the other. */
  readonly max: number
  /** After so long the database may have forgotten a key. */
  readonly forgetAfterMs: number
  /** A clock that never steps. */
  readonly nowMs: () => number
}

interface Owner {
  readonly id: string
  readonly atMs: number
}

/** Which callback has an idempotency key, of those the database took from this process lately: for when the database cannot be asked. */
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

  /** @returns the callback's id; undefined when the key is not known, or may be free again */
  ownerOf(key: string): string | undefined {
    const owner = this.#young.get(key) ?? this.#old.get(key)
    return owner && this.#options.nowMs() - owner.atMs < this.#options.forgetAfterMs ? owner.id : undefined
  }
}
