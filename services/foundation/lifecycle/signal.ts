/**
 * Tells listeners that something has happened. It joins two parts if one is created before the other: the first emits, the second listens.
 * A listener must not throw, because the emitting part calls it directly.
 */
export class Signal<Value = void> {
  readonly #listeners: ((value: Value) => void)[] = []

  on(listener: (value: Value) => void): void {
    this.#listeners.push(listener)
  }

  emit(value: Value): void {
    for (const listener of this.#listeners) listener(value)
  }
}
