/** A part of a service that may need to be started and stopped. `stop` must tolerate a part that was never started. */
export interface Part {
  readonly name: string
  start?(): Promise<void> | void
  stop?(): Promise<void> | void
}

/**
 * Starts the parts of a service in order, one after the other, and stops them in reverse order.
 *
 * If a part fails to start, those before it are stopped. If a part fails to stop, the others are stopped all the same. Both methods may be
 * called again: all calls share one promise.
 */
export class Lifecycle {
  readonly #parts: readonly Part[]
  readonly #onStopError: (part: string, error: unknown) => void
  readonly #onStartError: (part: string, error: unknown) => void
  readonly #stopping = new Set<string>()
  #started: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  /** @param onStartError called before the parts are stopped, because that may take time */
  constructor(
    parts: readonly Part[],
    onStopError: (part: string, error: unknown) => void,
    onStartError: (part: string, error: unknown) => void = () => undefined,
  ) {
    this.#parts = parts
    this.#onStopError = onStopError
    this.#onStartError = onStartError
  }

  /** The names of the parts whose stop has begun but not ended. After a missed deadline, these were left running. */
  get stillStopping(): readonly string[] {
    return [...this.#stopping]
  }

  /** Starts all parts. @throws the error of the first part that fails, after the parts before it were stopped */
  start(): Promise<void> {
    this.#started ??= this.#startAll()
    return this.#started
  }

  /** Stops all parts. @throws the first error, after all parts were stopped */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll()
    return this.#stopped
  }

  async #startAll(): Promise<void> {
    for (const part of this.#parts) {
      if (this.#stopped) return
      try {
        await part.start?.()
      } catch (error) {
        this.#onStartError(part.name, error)
        // `onStopError` has reported the error already.
        await this.stop().catch(() => undefined)
        throw error
      }
    }
  }

  async #stopAll(): Promise<void> {
    const errors: unknown[] = []
    for (const part of this.#parts.toReversed()) {
      this.#stopping.add(part.name)
      try {
        await part.stop?.()
      } catch (error) {
        errors.push(error)
        this.#onStopError(part.name, error)
      }
      this.#stopping.delete(part.name)
    }
    if (errors.length > 0) throw errors[0]
  }
}
