/**
 * One list says what starts; reversed, it says what stops.
 *
 * Start is sequential and stops at the first failure, after stopping what had started. Stop tolerates parts that were
 * never started, goes on after an error and reports the first one. Both may be called again: calls share one promise.
 */
export interface Part {
  readonly name: string
  start?(): Promise<void> | void
  stop?(): Promise<void> | void
}

export class Lifecycle {
  readonly #parts: readonly Part[]
  readonly #onStopError: (part: string, error: unknown) => void
  readonly #onStartError: (part: string, error: unknown) => void
  readonly #stopping = new Set<string>()
  #started: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  /** @param onStartError told before the parts are stopped, which may take its time */
  constructor(
    parts: readonly Part[],
    onStopError: (part: string, error: unknown) => void,
    onStartError: (part: string, error: unknown) => void = () => undefined,
  ) {
    this.#parts = parts
    this.#onStopError = onStopError
    this.#onStartError = onStartError
  }

  /** The parts whose stop has begun and not ended: what a missed deadline leaves behind. */
  get stillStopping(): readonly string[] {
    return [...this.#stopping]
  }

  /** @throws what the first failing part threw, after everything started before it was stopped */
  start(): Promise<void> {
    this.#started ??= this.#startAll()
    return this.#started
  }

  /** @throws the first error of a part's stop, after all parts were stopped */
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
        // What does not stop is told by onStopError already.
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
