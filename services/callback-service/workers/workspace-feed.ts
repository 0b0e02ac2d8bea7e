import { setImmediate } from 'node:timers/promises'
import type { ObjectId } from '#fetching/object-id.ts'
import { StorageUnavailableError } from '../domain/storage-errors.ts'
import type { ChangedCallback, StreamPosition } from '../domain/streaming/changed-callback.ts'

/** What listeners get at once. They share it, so that they can share what they make of it. */
export interface Batch {
  readonly callbacks: readonly ChangedCallback[]
  /** `unfinished`: what a new listener begins with. */
  readonly kind: 'unfinished' | 'changes'
  /** Whoever has this batch and all before it can go on from here. Undefined: more follows at once. */
  readonly position: StreamPosition | undefined
  /** Whether the listener was behind and no longer is. */
  readonly isCurrent: boolean
}

export interface Listener {
  readonly workspace: string
  readonly objectId: ObjectId | undefined
  /** Where it goes on. Undefined: it begins with the unfinished callbacks. */
  readonly from: StreamPosition | undefined
  readonly deliver: (batch: Batch) => void
  /** It cannot go on from where it is. It is a listener no longer. */
  readonly startOver: (reason: string) => void
}

export interface ClockLook {
  readonly nowUs: number
  readonly horizonUs: number
  readonly clockStep: number
}

/** Finds callbacks that have changed (see `CallbackChanges`). */
export interface ChangeSource {
  look(): Promise<ClockLook>
  read(options: {
    readonly workspace: string
    readonly fromUs: number
    readonly seen: string | undefined
    readonly watched: readonly ObjectId[]
    readonly limit: number
  }): Promise<{ readonly callbacks: readonly ChangedCallback[]; readonly snapshot: string; readonly moreFromUs: number | undefined }>
  unfinished(options: {
    readonly workspace: string
    readonly watched: readonly ObjectId[]
    readonly limit: number
  }): Promise<{ readonly callbacks: readonly ChangedCallback[]; readonly snapshot: string }>
}

const PAGE = 1000
/** Maximum number of unfinished callbacks that a listener begins with. */
const MAX_UNFINISHED = 1000
/** Maximum number of changes that a listener catches up on. Beyond it, a new start costs less. */
const MAX_CATCH_UP = 10_000
/** Time before the horizon from which changes are read again. So a clock that goes back by less than this causes no gap. */
const OVERLAP_US = 1_000_000
/** Different positions that listeners may join from in one poll, and time after which no further one begins, so that those who listen do not wait. */
const MAX_JOINS = 8
const MAX_JOINING_MS = 50
const MAX_TRIES = 3
/**
 * Callbacks that the listeners of one workspace get in a second, together: some 20 MB. Beyond it they hear of changes later, because a
 * process that only sends to listeners accepts nothing. A callback that changes several times meanwhile is sent once.
 */
const MAX_DELIVERIES_PER_SECOND = 50_000
/** Deliveries of one poll, beyond which the rest of the changes waits. */
const MAX_BURST = MAX_DELIVERIES_PER_SECOND / 4

/** Where a page of changes begins, and its size. */
interface Place {
  readonly atUs: number
  readonly limit: number
}

interface Page {
  readonly callbacks: readonly ChangedCallback[]
  readonly snapshot: string
  /** Where it goes on. Undefined: this is the last page. */
  readonly next: Place | undefined
}

/** Changes that a poll has begun to deliver, and left for the next one. */
interface Unread extends Place {
  /** The snapshot of its first page. */
  readonly first: string
  readonly position: StreamPosition
}
/** Time after which others have their turn, while listeners get their changes. */
const TURN_MS = 10

/**
 * The changes of one workspace, for all listeners of this process. Everything happens in turn, in `poll`: so no listener ever gets an older
 * state of a callback after a newer one.
 */
export class WorkspaceFeed {
  readonly #source: ChangeSource
  readonly #workspace: string
  readonly #maxAgeUs: number
  readonly #live = new Set<Listener>()
  /** Those that wait for their first batch, with the number of tries that failed. */
  readonly #joining = new Map<Listener, number>()
  #sinceUs = 0
  #seen: string | undefined
  #wasBehind = false
  #unread: Unread | undefined
  #deliveries = 0

  /** @param options.maxAgeMs time for which changes can be found: finished callbacks are deleted after it */
  constructor(options: { readonly source: ChangeSource; readonly workspace: string; readonly maxAgeMs: number }) {
    this.#source = options.source
    this.#workspace = options.workspace
    this.#maxAgeUs = options.maxAgeMs * 1000
  }

  get isEmpty(): boolean {
    return this.#live.size === 0 && this.#joining.size === 0
  }

  add(listener: Listener): void {
    this.#joining.set(listener, 0)
  }

  remove(listener: Listener): void {
    this.#live.delete(listener)
    this.#joining.delete(listener)
  }

  /** Sends all listeners away, because nobody can go on from where it is. */
  startOver(reason: string): void {
    this.#sendAway([...this.#live, ...this.#joining.keys()], reason)
    this.#seen = undefined
    this.#unread = undefined
  }

  /**
   * Delivers what is new, then admits those who have come.
   * @returns milliseconds until the next poll may begin
   * @throws {StorageUnavailableError} the next poll goes on from the same place
   */
  async poll(look: ClockLook): Promise<number> {
    this.#deliveries = 0
    try {
      if (this.#live.size > 0) await this.#follow(look)
      else this.#rewind(look)
      await this.#admitNew(look)
      await this.#admitResumed(look)
      this.#wasBehind = this.#unread !== undefined
      return (this.#deliveries * 1000) / MAX_DELIVERIES_PER_SECOND
    } catch (error) {
      this.interrupt()
      throw error
    }
  }

  /** The database was away. After a failover, a snapshot of the server before may show versions that are lost. */
  interrupt(): void {
    this.#seen = undefined
    this.#unread = undefined
    this.#wasBehind = true
  }

  /** Nobody listens: the changes so far are those that a newcomer begins with. */
  #rewind({ horizonUs }: ClockLook): void {
    this.#sinceUs = horizonUs - OVERLAP_US
    this.#seen = undefined
    this.#unread = undefined
  }

  async #follow(look: ClockLook): Promise<void> {
    if (look.nowUs - this.#sinceUs > this.#maxAgeUs) {
      this.#sendAway([...this.#live], 'the changes since then are no longer known')
      this.#rewind(look)
      return
    }
    const unread = this.#unread
    const nextUs = Math.max(this.#sinceUs, look.horizonUs - OVERLAP_US)
    const position = unread?.position ?? { atUs: nextUs, clockStep: look.clockStep }
    let first = unread?.first
    let isBehind = this.#wasBehind
    for await (const { callbacks, snapshot, next } of this.#pages(unread ?? { atUs: this.#sinceUs, limit: PAGE }, this.#seen)) {
      first ??= snapshot
      const batch: Batch = { callbacks, kind: 'changes', position: next ? undefined : position, isCurrent: !next && isBehind }
      await inTurns(this.#live, listener => this.#deliver(listener, batch))
      isBehind = true
      this.#unread = next && { ...next, first, position }
      if (this.#deliveries > MAX_BURST) break
    }
    if (this.#unread) return
    this.#seen = first
    this.#sinceUs = position.atUs
  }

  async #admitNew({ clockStep }: ClockLook): Promise<void> {
    const fresh = [...this.#joining.keys()].filter(({ from }) => from === undefined)
    if (fresh.length === 0) return
    const { callbacks, snapshot } = await this.#source.unfinished({ ...this.#what(), limit: MAX_UNFINISHED })
    this.#seen ??= snapshot
    const batch: Batch = { callbacks, kind: 'unfinished', position: { atUs: this.#sinceUs, clockStep }, isCurrent: true }
    await this.#admit(fresh, [batch])
  }

  async #admitResumed(look: ClockLook): Promise<void> {
    const groups = Map.groupBy(this.#joining.keys(), ({ from }) => from && `${from.atUs} ${from.clockStep}`)
    groups.delete(undefined)
    const startedMs = performance.now()
    for (const group of [...groups.values()].slice(0, MAX_JOINS)) {
      if (performance.now() - startedMs > MAX_JOINING_MS) return
      const { atUs, clockStep } = (group[0] as Listener).from as StreamPosition
      // They may have come after the look, from a replica that has looked since: then the next look is later.
      if (atUs > look.nowUs && group.every(listener => this.#joining.get(listener) === 0)) this.#countTry(group)
      else if (clockStep !== look.clockStep || atUs > look.nowUs) this.#sendAway(group, "the database's clock has stepped since")
      else if (look.nowUs - atUs > this.#maxAgeUs) this.#sendAway(group, 'the changes since then are no longer known')
      else await this.#catchUp(group, atUs, look)
    }
  }

  async #catchUp(group: readonly Listener[], atUs: number, { clockStep }: ClockLook): Promise<void> {
    const batches: Batch[] = []
    const position = { atUs: this.#sinceUs, clockStep }
    let [count, first] = [0, undefined as string | undefined]
    try {
      for await (const { callbacks, snapshot, next } of this.#pages({ atUs: Math.min(atUs, this.#sinceUs), limit: PAGE }, undefined)) {
        first ??= snapshot
        count += callbacks.length
        if (count > MAX_CATCH_UP) {
          this.#sendAway(group, 'there are too many changes since then')
          return
        }
        batches.push({ callbacks, kind: 'changes', position: next ? undefined : position, isCurrent: !next })
      }
    } catch (error) {
      if (error instanceof StorageUnavailableError) this.#countTry(group)
      throw error
    }
    this.#seen ??= first
    await this.#admit(group, batches)
  }

  /** A catch-up that always takes too long must not keep the others from theirs. */
  #countTry(group: readonly Listener[]): void {
    for (const listener of group) {
      const tries = (this.#joining.get(listener) ?? 0) + 1
      if (tries >= MAX_TRIES) this.#sendAway([listener], 'the changes since then cannot be read in time')
      else if (this.#joining.has(listener)) this.#joining.set(listener, tries)
    }
  }

  async *#pages(from: Place, seen: string | undefined): AsyncGenerator<Page> {
    let next: Place | undefined = from
    while (next) {
      const { atUs, limit }: Place = next
      const page = await this.#source.read({ ...this.#what(), fromUs: atUs, seen, limit })
      // A statement may change thousands of rows at the same time, to the microsecond.
      next = page.moreFromUs === undefined ? undefined : { atUs: page.moreFromUs, limit: page.moreFromUs > atUs ? PAGE : limit * 2 }
      yield { callbacks: page.callbacks, snapshot: page.snapshot, next }
    }
  }

  #what() {
    const watched = [...this.#live, ...this.#joining.keys()].flatMap(({ objectId }) => objectId ?? [])
    return { workspace: this.#workspace, watched: [...new Set(watched)] }
  }

  /** Those who have left meanwhile get nothing. */
  #admit(group: readonly Listener[], batches: readonly Batch[]): Promise<void> {
    return inTurns(group, listener => {
      if (!this.#joining.delete(listener)) return
      this.#live.add(listener)
      for (const batch of batches) this.#deliver(listener, batch)
    })
  }

  #deliver(listener: Listener, batch: Batch): void {
    listener.deliver(batch)
    this.#deliveries += batch.callbacks.length
  }

  #sendAway(listeners: readonly Listener[], reason: string): void {
    for (const listener of listeners) {
      this.remove(listener)
      listener.startOver(reason)
    }
  }
}

/** Does something for each listener. Hundreds with different filters take long together, so requests have their turn in between. */
async function inTurns(listeners: Iterable<Listener>, tell: (listener: Listener) => void): Promise<void> {
  let beganMs = performance.now()
  for (const listener of listeners) {
    tell(listener)
    if (performance.now() - beganMs < TURN_MS) continue
    await setImmediate()
    beganMs = performance.now()
  }
}
