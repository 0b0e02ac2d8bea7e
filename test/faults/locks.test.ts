import assert from 'node:assert/strict'
import type pg from 'pg'
import { accept, type CallbackAnswer, finished, readCallback } from '../support/callbacks.ts'
import { withClient } from '../support/database.ts'
import { until } from '../support/eventually.ts'
import { type System, startSystem } from '../support/system.ts'

describe('locks that somebody else holds', function () {
  this.timeout(60_000)
  let system: System

  before(async () => {
    system = await startSystem({ client: { LATENCY_MIN_MS: '1', LATENCY_MAX_MS: '5' } })
  })

  after(() => system.stop())

  beforeEach(() => system.db.query('TRUNCATE callbacks, objects'))

  it('on a callback: the others continue, and it is processed when it is free', async () => {
    await withClient(system.databaseUrl, async somebody => {
      const held = await insertLocked(somebody)
      await until(async () => (await system.db.query('SELECT FROM callbacks WHERE due_at < now()')).rowCount === 1)
      const others = await Promise.all([1, 2, 3].map(id => accept(system.callbackUrl, [id])))
      for (const id of others) assert.equal((await finished(system.callbackUrl, id)).state, 'completed')
      assert.equal((await readCallback(system.callbackUrl, held)).state, 'pending')
      await somebody.query('COMMIT')
      assert.equal((await finished(system.callbackUrl, held)).state, 'completed')
    })
  })

  it('on a callback that many want to change: workers still get their connections', async () => {
    await withClient(system.databaseUrl, async somebody => {
      const held = await insertLocked(somebody)
      const changes = Array.from({ length: 16 }, (_, i) =>
        fetch(`${system.callbackUrl}/v1/callbacks/${held}?wait=${i % 2}`, { method: 'DELETE' }),
      )
      await until(() => waits('work'))
      const asked = performance.now()
      const id = await accept(system.callbackUrl, [1])
      assert.equal((await finished(system.callbackUrl, id)).state, 'completed')
      assert.ok(performance.now() - asked < 2000, `${performance.now() - asked} ms`)
      await somebody.query('COMMIT')
      assert.deepEqual(new Set((await Promise.all(changes)).map(({ status }) => status)), new Set([204]))
    })
  })

  it('on an object, for longer than the statement timeout: accepting continues, nothing fails, nothing is charged', async () => {
    await finished(system.callbackUrl, await accept(system.callbackUrl, [1, 2]))
    await withClient(system.databaseUrl, async somebody => {
      await somebody.query('BEGIN; SELECT FROM objects WHERE id = 1 FOR UPDATE')
      const id = await accept(system.callbackUrl, [1, 2])
      await until(() => waits('work'))
      const asked = performance.now()
      await accept(system.callbackUrl, [3])
      assert.ok(performance.now() - asked < 500, `${performance.now() - asked} ms`)
      await until(async () => !(await waits('work')), 8000, 'the statement is given up')
      await somebody.query('COMMIT')
      assertUncharged(await finished(system.callbackUrl, id, 20_000))
    })
  })

  it('in the order that makes a deadlock: nothing fails, nothing is charged', async () => {
    await finished(system.callbackUrl, await accept(system.callbackUrl, [1, 2]))
    await withClient(system.databaseUrl, async somebody => {
      await somebody.query('BEGIN; SELECT FROM objects WHERE id = 2 FOR UPDATE')
      const id = await accept(system.callbackUrl, [1, 2])
      // The service has locked the first object and waits for the second. The session that waited first detects the deadlock and is its
      // victim.
      await until(() => waits('work'))
      await somebody.query('SELECT FROM objects WHERE id = 1 FOR UPDATE; COMMIT')
      assertUncharged(await finished(system.callbackUrl, id))
    })
    const { rows } = await system.db.query('SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()')
    assert.equal(rows[0].deadlocks, 1)
  })

  it('on all callbacks: lists of callbacks hold half of the connections for reads, so that the others are there for other reads', async () => {
    await withClient(system.databaseUrl, async somebody => {
      await somebody.query('BEGIN; LOCK TABLE callbacks IN ACCESS EXCLUSIVE MODE')
      const lists = [fetch(`${system.callbackUrl}/v1/callbacks`), fetch(`${system.callbackUrl}/v1/callbacks`)]
      await until(() => waits('read'))
      assert.equal((await fetch(`${system.callbackUrl}/v1/objects/987654321`)).status, 404)
      await somebody.query('COMMIT')
      assert.deepEqual(
        (await Promise.all(lists)).map(({ status }) => status),
        [200, 200],
      )
    })
  })

  /** A callback that is locked by the time it is due. @returns its id */
  async function insertLocked(somebody: pg.Client): Promise<string> {
    const { rows } = await somebody.query(
      `INSERT INTO callbacks (id, received_at, due_at, object_ids) VALUES (gen_random_uuid(), now(), now() + interval '0.3 s', '{9}') RETURNING id`,
    )
    await somebody.query('BEGIN')
    await somebody.query('SELECT FROM callbacks WHERE id = $1 FOR UPDATE', [rows[0].id])
    return rows[0].id
  }

  /** Whether a connection of this pool waits for a lock. */
  async function waits(pool: string): Promise<boolean> {
    const { rowCount } = await system.db.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1 AND wait_event_type = 'Lock'`,
      [`answerback ${pool}`],
    )
    return rowCount !== 0
  }
})

function assertUncharged({ state, objects, attempts }: CallbackAnswer): void {
  assert.equal(state, 'completed')
  assert.ok(objects.every(({ outcome }) => outcome === 'stored'))
  assert.ok(attempts <= 2, `${attempts} attempts`)
}
