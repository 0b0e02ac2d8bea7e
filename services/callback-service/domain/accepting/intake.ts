import { StorageUnavailableError } from '../storage-errors.ts'
import { IdempotencyKeyReusedError } from './accept-errors.ts'
import { scopedKey } from './idempotency-key.ts'
import type { KnownKeys } from './known-keys.ts'

/** A callback that is on a disk and can no longer be lost. */
export interface Accepted {
  readonly id: string
  readonly receivedAt: Date
  readonly isReplay: boolean
}

export type Durability = 'database' | 'spooled'

/** An accepted callback, and where it is: in the database, or on this machine's disk until the database takes it. */
export type DurablyAccepted = Accepted & { readonly durability: Durability }

/** What the intake must know of a callback. If it has an idempotency key, its id is made from the key and the object ids. */
export interface Identified {
  readonly id: string
  readonly workspace: string
  readonly idempotencyKey: string | undefined
}

/** The database, which is where the intake tries to keep a callback first. */
export interface Inbox<Callback> {
  /**
   * Resolves when the callback is committed.
   * @throws {StorageUnavailableError} the callback was not kept, or the outcome is unknown
   * @throws {IdempotencyKeyReusedError} the callback was not kept, because another one has its key
   */
  insert(callback: Callback): Promise<Accepted>
}

/** A file on this machine that keeps callbacks while the database cannot take them. */
export interface Spool<Callback> {
  /**
   * Resolves when the callback is on the disk.
   * @throws {StorageUnavailableError} the callback was not kept, or the outcome is unknown
   * @throws {IdempotencyKeyReusedError} the callback was not kept, because another one has its key
   */
  append(callback: Callback): Promise<Accepted>
  /** Whether new callbacks must queue behind those in the spool. */
  readonly isInUse: boolean
  /** Whether the spool holds a callback with the same key and other object ids. @returns undefined if the spool does not answer in time */
  holdsRival(callback: Callback): Promise<boolean | undefined>
}

export interface IntakeOptions<Callback> {
  readonly inbox: Inbox<Callback>
  readonly spool: Spool<Callback> | undefined
  readonly keys: KnownKeys
}

/**
 * Keeps a callback in the database, or in the spool if the database cannot take it in time. Until the database has taken the whole spool,
 * new callbacks queue behind it, which keeps their order. While the spool is full or broken, the intake tries the database first again.
 * A write that failed may have happened all the same. The callback then is in both places under one id, which makes it one callback.
 *
 * Rivals are callbacks with one idempotency key and different object ids. Without a spool the database alone finds them.
 * With a spool, two rivals must not be kept in two places. They take turns in this process, and each is compared with the other place.
 */
export class Intake<Callback extends Identified> {
  readonly #options: IntakeOptions<Callback>
  readonly #underWay = new Map<string, { readonly id: string; readonly outcome: Promise<DurablyAccepted> }>()

  constructor(options: IntakeOptions<Callback>) {
    this.#options = options
  }

  /**
   * Resolves when the callback is in the database or in the spool.
   * @throws {StorageUnavailableError} neither kept the callback, or the outcome is unknown
   * @throws {IdempotencyKeyReusedError} neither kept the callback, because another one has its key
   */
  accept(callback: Callback): Promise<DurablyAccepted> {
    const { inbox, spool } = this.#options
    if (!spool) return kept('database', inbox.insert(callback))
    const key = keyOf(callback)
    return key === undefined ? this.#keep(callback, spool) : this.#keepInTurn(callback, key, spool)
  }

  /** Copies share one outcome. A rival waits for that outcome, because it decides in which place the rival must look for the key. */
  async #keepInTurn(callback: Callback, key: string, spool: Spool<Callback>): Promise<DurablyAccepted> {
    for (let other = this.#underWay.get(key); other; other = this.#underWay.get(key)) {
      if (other.id === callback.id) return { ...(await other.outcome), isReplay: true }
      await other.outcome.catch(failWithUnknown)
    }
    const outcome = this.#keep(callback, spool).finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, { id: callback.id, outcome })
    return outcome
  }

  async #keep(callback: Callback, spool: Spool<Callback>): Promise<DurablyAccepted> {
    const inDatabase = (): Promise<DurablyAccepted> => this.#keepInDatabase(callback)
    const inSpool = (): Promise<DurablyAccepted> => kept('spooled', spool.append(callback))
    // `append` itself checks which callback the spool holds under this key.
    if (spool.isInUse) return orElse(inSpool, inDatabase)
    const hasRival = callback.idempotencyKey === undefined ? false : await spool.holdsRival(callback)
    if (hasRival) throw new IdempotencyKeyReusedError()
    return hasRival === undefined ? orElse(inSpool, inDatabase) : orElse(inDatabase, inSpool)
  }

  async #keepInDatabase(callback: Callback): Promise<DurablyAccepted> {
    const { inbox, keys } = this.#options
    const accepted = await kept('database', inbox.insert(callback))
    // A replay may be old: this process does not know how soon the database will forget its key.
    const key = keyOf(callback)
    if (key !== undefined && !accepted.isReplay) keys.remember(key, callback.id)
    return accepted
  }
}

function keyOf({ workspace, idempotencyKey }: Identified): string | undefined {
  return idempotencyKey === undefined ? undefined : scopedKey(workspace, idempotencyKey)
}

async function kept(durability: Durability, accepted: Promise<Accepted>): Promise<DurablyAccepted> {
  return { ...(await accepted), durability }
}

async function orElse<T>(first: () => Promise<T>, second: () => Promise<T>): Promise<T> {
  try {
    return await first()
  } catch (error) {
    if (error instanceof StorageUnavailableError) return second()
    throw error
  }
}

/** If the outcome of the first rival is unknown, the second one may not be kept either: the first may have the key. */
function failWithUnknown(error: unknown): void {
  if (error instanceof StorageUnavailableError)
    throw new StorageUnavailableError('another callback came under this idempotency key, and nobody knows whether it was kept', {
      cause: error,
    })
}
