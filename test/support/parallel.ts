import { inspect } from 'node:util'
import type { Context, RootHookObject } from 'mocha'
import pg from 'pg'

/** The key of the advisory lock that tests share, or have alone. The value is arbitrary. */
const TURN = 5_309_615

const worker = process.env['MOCHA_WORKER_ID']
let session: pg.Client | undefined

/**
 * Hooks around each test file, in mocha's parallel processes. The files in `test/alone` compare times, so they run while no other file does.
 * Mocha's configuration names them last.
 */
export const mochaHooks: RootHookObject = {
  async beforeAll(this: Context) {
    if (worker === undefined) return
    this.timeout(0)
    const { suites = [], tests = [] } = this.test?.parent ?? {}
    const isAlone = [...suites, ...tests][0]?.file?.includes('/test/alone/')
    session ??= await connect()
    await session.query(`SELECT ${isAlone ? 'pg_advisory_lock' : 'pg_advisory_lock_shared'}($1)`, [TURN])
  },

  /** Mocha passes the stack of an error from its processes, but not the cause. */
  afterEach(this: Context) {
    const { err } = this.currentTest ?? {}
    if (worker !== undefined && err?.cause) err.stack += `\n    Caused by: ${inspect(err.cause)}`
  },

  async afterAll() {
    await session?.query('SELECT pg_advisory_unlock_all()')
  },
}

/** Connects to the first server, because the lock must be the same for all processes. */
async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: process.env['TEST_DATABASE_URL']?.split(' ')[0] })
  await client.connect()
  return client
}
