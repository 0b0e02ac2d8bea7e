import { StorageUnavailableError } from './storage-errors.ts'

/** A callback that cannot be lost any more, and where it is: in the database, or on this machine's disk until the database takes it. */
export interface Accepted {
  readonly id: string
  readonly receivedAt: Date
  readonly isReplay: boolean
}

export type Durability = 'database' | 'spooled'

/** Keeps callbacks; resolves when they are on a disk. */
export interface CallbackKeeper<Callback> {
  /** @throws {StorageUnavailableError} not kept, or nobody knows */
  accept(callback: Callback): Promise<Accepted>
}

export interface Spool<Callback> extends CallbackKeeper<Callback> {
  /** Whether what comes must go behind what it holds. */
  readonly isInUse: boolean
}

/**
 * Keeps a callback in the database, or in the spool when the database cannot take it in time. Until the database has taken what is in
 * the spool, what comes goes behind it, so that the order is kept; only where the spool is full or broken the database is asked first again.
 * A write that failed may have happened: the same id makes one callback of the two.
 * @throws {StorageUnavailableError} neither has it, or nobody knows
 */
export async function acceptDurably<Callback>(
  callback: Callback,
  { inbox, spool }: { readonly inbox: CallbackKeeper<Callback>; readonly spool: Spool<Callback> | undefined },
): Promise<Accepted & { readonly durability: Durability }> {
  const inDatabase = async () => ({ ...(await inbox.accept(callback)), durability: 'database' }) as const
  if (!spool) return inDatabase()
  const inSpool = async () => ({ ...(await spool.accept(callback)), durability: 'spooled' }) as const
  const [first, second] = spool.isInUse ? [inSpool, inDatabase] : [inDatabase, inSpool]
  try {
    return await first()
  } catch (error) {
    if (error instanceof StorageUnavailableError) return second()
    throw error
  }
}
