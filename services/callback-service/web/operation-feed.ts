import { isUnderWay, type Operation } from './operations.ts'
import { Poll } from './poll.ts'
import { Store } from './store.ts'

type Ask = <T>(path: string) => Promise<T>

export interface OperationsView {
  /** Newest first. Undefined until the first answer. */
  readonly operations: readonly Operation[] | undefined
  /** Why the last request failed. */
  readonly problem: string | undefined
}

/** Operations that the page shows. */
const SHOWN = 20
const LIST_EVERY_MS = 15_000
const PROGRESS_EVERY_MS = 1000

/** Follows the operations of a workspace. It reads the list now and then, and each operation under way once a second. */
export class OperationFeed {
  readonly view = new Store<OperationsView>({ operations: undefined, problem: undefined })
  readonly #ask: Ask
  readonly #query: string
  readonly #poll: Poll
  #listedAt = Number.NEGATIVE_INFINITY

  constructor(workspace: string, ask: Ask) {
    this.#ask = ask
    this.#query = `workspace_id=${encodeURIComponent(workspace)}`
    this.#poll = new Poll({
      ask: () => this.#read(),
      onFailure: error => this.view.set({ ...this.view.value, problem: (error as Error).message }),
      intervalMs: () => (this.#isUnderWay() ? PROGRESS_EVERY_MS : LIST_EVERY_MS),
      isHidden: () => globalThis.document?.visibilityState === 'hidden',
    })
  }

  start(): void {
    this.#poll.start()
  }

  stop(): void {
    this.#poll.stop()
  }

  /** Reads the list at once. */
  refresh(): void {
    this.#listedAt = Number.NEGATIVE_INFINITY
    this.#poll.again()
  }

  /** Shows an operation that the operator has just started. */
  add(operation: Operation): void {
    const others = (this.view.value.operations ?? []).filter(({ id }) => id !== operation.id)
    this.view.set({ ...this.view.value, operations: [operation, ...others].slice(0, SHOWN) })
    this.refresh()
  }

  async #read(): Promise<void> {
    const isListFresh = performance.now() - this.#listedAt < LIST_EVERY_MS
    const operations = this.#isUnderWay() && isListFresh ? await this.#progress() : await this.#list()
    this.view.set({ operations, problem: undefined })
  }

  async #list(): Promise<readonly Operation[]> {
    const at = performance.now()
    const { items } = await this.#ask<{ readonly items: readonly Operation[] }>(`v1/operations?limit=${SHOWN}&${this.#query}`)
    this.#listedAt = at
    return items
  }

  #isUnderWay(): boolean {
    return this.view.value.operations?.some(isUnderWay) ?? false
  }

  #progress(): Promise<readonly Operation[]> {
    const known = this.view.value.operations ?? []
    return Promise.all(known.map(one => (isUnderWay(one) ? this.#ask<Operation>(`v1/operations/${one.id}?${this.#query}`) : one)))
  }
}
