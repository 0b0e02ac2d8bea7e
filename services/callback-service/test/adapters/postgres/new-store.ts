import type { Database } from '../../../adapters/postgres/database.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { ObjectStore } from '../../../adapters/postgres/object-store.ts'
import type { TestStorage } from './test-storage.ts'

export const CALLBACK_ID = '01890a5d-ac96-774b-bcce-b302099a8057'
/** The callback for which objects are stored. */
export const ASKER = { id: CALLBACK_ID, workspace: 'default' }

/** Makes a store. @param ttl in seconds, or a function of the workspace @returns the store, and the sizes of its statements */
export function newStore(database: Database, ttl: number | ((workspace: string) => number) = 30, clock = new DatabaseClock()) {
  const statements: number[] = []
  const settings = { ttlSeconds: typeof ttl === 'number' ? ttl : 30 }
  const store = new ObjectStore({
    prisma: database.prisma,
    clock,
    ttlSeconds: workspace => (typeof ttl === 'number' ? settings.ttlSeconds : ttl(workspace)),
    onStored: count => statements.push(count),
  })
  return { store, statements, settings }
}

/** Makes stored objects `ms` milliseconds older. Backdating replaces sleeping. */
export async function backdate(storage: TestStorage, ms: number, ids?: readonly bigint[]): Promise<void> {
  await storage.query(
    `UPDATE objects SET stored_at = stored_at - $1 * interval '1 ms', expires_at = expires_at - $1 * interval '1 ms'
     WHERE $2::bigint[] IS NULL OR id = ANY ($2::bigint[])`,
    [ms, ids?.map(String) ?? null],
  )
}
