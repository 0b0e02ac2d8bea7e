import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import type { Context, RootHookObject } from 'mocha'
import pg from 'pg'
import { until } from './eventually.ts'

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
    const root = this.test?.parent ?? assert.fail()
    const file = [...root.suites, ...root.tests][0]?.file ?? ''
    session ??= await connect()
    await session.query(`SELECT ${file.includes('/test/alone/') ? 'pg_advisory_lock' : 'pg_advisory_lock_shared'}($1)`, [TURN])
    const before = running()
    // This way the hook runs after those that the file itself has outside of every suite.
    root.afterAll(async function () {
      this.timeout(0)
      await session?.query('SELECT pg_advisory_unlock_all()')
      // Without this, nobody would notice: mocha ends its processes even if something still runs there.
      await until(() => left(before).length === 0, 5000).catch(cause => {
        throw new Error(`${file} leaves running: ${left(before)}`, { cause })
      })
    })
  },

  /** Mocha passes the stack of an error from its processes, but not the cause. */
  afterEach(this: Context) {
    const { err } = this.currentTest ?? {}
    if (worker !== undefined && err?.cause) err.stack += `\n    Caused by: ${inspect(err.cause)}`
  },
}

/** The servers, processes and timers that keep this process alive, by their kind. Idle sockets are not among them: `fetch` keeps those for seconds. */
function running(): string[] {
  return process.getActiveResourcesInfo().filter(kind => kind !== 'Immediate' && !/Socket/.test(kind))
}

function left(before: readonly string[]): string[] {
  const known = [...before]
  return running().filter(kind => {
    const at = known.indexOf(kind)
    if (at >= 0) known.splice(at, 1)
    return at < 0
  })
}

/** Connects to the first server, because the lock must be the same for all processes. */
async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: process.env['TEST_DATABASE_URL']?.split(' ')[0] })
  await client.connect()
  return client
}
