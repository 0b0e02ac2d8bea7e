import pg from 'pg'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { sessionWith } from './connection.ts'

/** Whether a service keeps what it accepts. `none` is for demonstrations and tests, with a database that is thrown away. */
export type Durability = 'full' | 'none'

/**
 * The parameter by which a server, or one of its databases, says that nothing in it is kept. Whoever starts such a server sets it: `-c
 * answerback.durability=none`. No service sets it, so no mistake in the settings of a service can.
 */
export const DURABILITY_PARAMETER = 'answerback.durability'

/** How an address, or PGOPTIONS, would set it. Postgres does not tell who set a parameter of this kind, so nothing of ours may. */
const SET_BY_US = /answerback\.durability/i

const CHECK_TIMEOUT_MS = 1000

/** What a connection says of the database at its other end. */
interface Kept {
  readonly is_thrown_away: boolean
  readonly is_flushed: boolean
}

/** What the types of `pg` leave out. */
interface Connected {
  readonly connectionParameters: { readonly options?: string }
}

/**
 * Compares the durability of the service with that of the database. A service that keeps its callbacks refuses a database that is thrown away.
 * A service that keeps none refuses every other database, because callbacks of a service that keeps them may be in it.
 * @throws {DurabilityError} they contradict each other
 */
export async function requireDurability(client: pg.ClientBase, durability: Durability): Promise<void> {
  const { options } = (client as unknown as Connected).connectionParameters
  if (SET_BY_US.test(options ?? ''))
    throw new DurabilityError(`the address of the database sets ${DURABILITY_PARAMETER}: only the server itself can say that`)
  const { rows } = await client.query<Kept>(
    `SELECT coalesce(current_setting('${DURABILITY_PARAMETER}', true), '') = 'none' AS is_thrown_away,
      current_setting('fsync')::boolean AS is_flushed`,
  )
  const [kept] = rows
  const problem = kept && contradiction(durability, kept)
  if (problem !== undefined) throw new DurabilityError(problem)
}

function contradiction(durability: Durability, { is_thrown_away, is_flushed }: Kept): string | undefined {
  if (durability === 'full')
    return is_thrown_away
      ? `the database says that nothing in it is kept (${DURABILITY_PARAMETER} is none): use another database`
      : undefined
  if (!is_thrown_away)
    return `database.durability is none, but the database does not say that nothing in it is kept (${DURABILITY_PARAMETER}): it may hold callbacks of a service that keeps them`
  return is_flushed ? 'database.durability is none, but the server keeps what is committed, because its fsync is on' : undefined
}

/** The service must not use this database. */
export class DurabilityError extends Error {
  readonly code = 'wrong_durability'
}

/**
 * Refuses to start a service that keeps nothing with a database that is kept. If the database cannot be reached yet, the service starts, and
 * each of its connections is checked when it comes.
 */
export function durabilityCheck(url: string): Part {
  return {
    name: 'durability check',
    async start() {
      const client = new pg.Client({
        ...sessionWith(url, {}),
        connectionTimeoutMillis: CHECK_TIMEOUT_MS,
        query_timeout: CHECK_TIMEOUT_MS,
      })
      // The lost connection also fails the statement under way.
      client.on('error', () => undefined)
      try {
        await client.connect()
        await requireDurability(client, 'none')
      } catch (error) {
        // Any other error is one of the connection. The watch of the storage reports it.
        if (error instanceof DurabilityError) throw error
      } finally {
        await client.end()
      }
    },
  }
}
