import { StorageUnavailableError } from '../storage-errors.ts'
import { IdempotencyKeyReusedError } from './accept-errors.ts'
import type { KnownKeys } from './known-keys.ts'

/** A callback that cannot be lost any more. */
export interface Accepted {
  readonly id: string
  readonly receivedAt: Date
  readonly isReplay: boolean
}

export type Durability = 'database' | 'spooled'

/** And where it is: in the database, or on this machine's disk until the database takes it. */
export type DurablyAccepted = Accepted & { readonly durability: Durability }

/** What the intake must know of a callback. One with an idempotency key has an id made from the key and what it names. */
export interface Identified {
  readonly id: string
  readonly idempotencyKey: string | undefined
}

/** Where callbacks are kept first of all: the database. */
export interface Inbox<Callback> {
  /**
   * @returns when the callback is committed
   * @throws {StorageUnavailableError} not kept, or nobody knows
   * @throws {IdempotencyKeyReusedError} not kept: another callback has its key
   */
  insert(callback: Callback): Promise<Accepted>
}

/** Where callbacks are kept while the database cannot take them: a file on this machine. */
export interface Spool<Callback> {
  /**
   * @returns when the callback is on the disk
   * @throws {StorageUnavailableError} not kept, or nobody knows
   * @throws {IdempotencyKeyReusedError} not kept: another callback has its key
   */
  append(callback: Callback): Promise<Accepted>
  /** Whether what comes must go behind what it holds. */
  readonly isInUse: boolean
  /** Whether a callback with the same key and other object ids waits in it. @returns undefined when it does not say so in time */
  holdsRival(callback: Callback): Promise<boolean | undefined>
}

export interface IntakeOptions<Callback> {
  readonly inbox: Inbox<Callback>
  readonly spool: Spool<Callback> | undefined
  readonly keys: KnownKeys
}

/**
 * Keeps a callback in the database, or in the spool when the database cannot take it in time. Until the database has taken what is in
 * the spool, what comes goes behind it, so that the order is kept; only where the spool is full or broken the database is asked first again.
 * A write that failed may have happened: the same id makes one callback of the two.
 *
 * Rivals, callbacks with one idempotency key and different object ids, are told apart by the database alone where there is no spool. Where there
 * is one, two of them must not be kept in two places: they take turns in this process, and each is compared with what the other place holds.
 */
export class Intake<Callback extends Identified> {
  readonly #options: IntakeOptions<Callback>
  readonly #underWay = new Map<string, { readonly id: string; readonly outcome: Promise<DurablyAccepted> }>()

  constructor(options: IntakeOptions<Callback>) {
    this.#options = options
  }

  /**
   * @throws {StorageUnavailableError} neither has it, or nobody knows
   * @throws {IdempotencyKeyReusedError} neither has it: another callback has its key
   */
  accept(callback: Callback): Promise<DurablyAccepted> {
    const { inbox, spool } = this.#options
    if (!spool) return kept('database', inbox.insert(callback))
    const { idempotencyKey } = callback
    return idempotencyKey === undefined ? this.#keep(callback, spool) : this.#keepInTurn(callback, idempotencyKey, spool)
  }

  /** Copies share one outcome. A rival waits for it, because it decides where the rival is compared with what. */
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
    // Asked first, the spool says itself what it holds under this key.
    if (spool.isInUse) return orElse(inSpool, inDatabase)
    const hasRival = callback.idempotencyKey === undefined ? false : await spool.holdsRival(callback)
    if (hasRival) throw new IdempotencyKeyReusedError()
    return hasRival === undefined ? orElse(inSpool, inDatabase) : orElse(inDatabase, inSpool)
  }

  async #keepInDatabase(callback: Callback): Promise<DurablyAccepted> {
    const { inbox, keys } = this.#options
    const accepted = await kept('database', inbox.insert(callback))
    // Of a replay nobody here knows how soon the database will forget it.
    if (callback.idempotencyKey !== undefined && !accepted.isReplay) keys.remember(callback.idempotencyKey, callback.id)
    return accepted
  }
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

/** Of two rivals the first may have been kept, though nobody knows: then nobody knows of the second whether it may be. */
function failWithUnknown(error: unknown): void {
  if (error instanceof StorageUnavailableError)
    throw new StorageUnavailableError('another callback came under this idempotency key, and nobody knows whether it was kept', {
      cause: error,
    })
}
