/**
 * Tells listeners that something has happened. It joins two parts of which one is made before the other: the first emits, the second listens.
 * A listener must not throw: it is called by whoever emits.
 */
export class Signal {
  readonly #listeners: (() => void)[] = []

  on(listener: () => void): void {
    this.#listeners.push(listener)
  }

  emit(): void {
    for (const listener of this.#listeners) listener()
  }
}
