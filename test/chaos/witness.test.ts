import assert from 'node:assert/strict'
import pg from 'pg'
import { ADVISORY_CLASS } from '../../services/callback-service/adapters/postgres/worker-session.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { announceStandstill, readWitness, witness } from './witness.ts'

const CALLBACK = '018f0000-0000-7000-8000-000000000001'

describe('the witness of chaos', () => {
  let database: TestDatabase
  /** The connections of worker 7 and of another worker. */
  let worker: pg.Client
  let other: pg.Client

  beforeEach(async () => {
    database = await createTestDatabase()
    worker = new pg.Client({ connectionString: database.url, application_name: 'replica-0' })
    other = new pg.Client({ connectionString: database.url, application_name: 'replica-1' })
    await worker.connect()
    await other.connect()
    await worker.query(witness())
  })

  afterEach(async () => {
    await worker.end()
    await other.end()
    await database.drop()
  })

  const changes = async () => (await readWitness(other)).transitions.map(({ replica, from, to }) => `${replica}: ${from} to ${to}`)

  describe('of callbacks', () => {
    it('records who claims and finishes a callback, and every change after that', async () => {
      await accept()
      await claim()
      await other.query("UPDATE callbacks SET state = 'completed', finished_at = now()")
      await other.query("UPDATE callbacks SET unstored = '[]'")
      assert.deepEqual(await changes(), [
        'replica-0: pending to running',
        'replica-1: running to completed',
        'replica-1: completed to completed',
      ])
    })

    it('lets an operator take a finished callback away from its agent', async () => {
      await accept()
      await other.query("UPDATE callbacks SET state = 'completed', finished_at = now(), assigned_to = gen_random_uuid()")
      const before = await changes()
      await other.query(`UPDATE callbacks SET assigned_to = NULL, steered_at = now(), timeline = '[{"event":"unassigned"}]'`)
      assert.deepEqual(await changes(), before)
      await other.query('UPDATE callbacks SET assigned_to = gen_random_uuid(), attempts = attempts + 1')
      assert.deepEqual((await changes()).slice(before.length), ['replica-1: completed to completed'])
    })

    it('ignores changes of its times while it waits or runs', async () => {
      await accept()
      await other.query("UPDATE callbacks SET due_at = due_at + interval '1 hour'")
      await claim()
      await other.query("UPDATE callbacks SET due_at = due_at - interval '1 hour'")
      assert.deepEqual(await changes(), ['replica-0: pending to running'])
    })
  })

  describe('of workers', () => {
    beforeEach(async () => {
      await worker.query('SELECT pg_advisory_lock($1, 7)', [ADVISORY_CLASS])
      await renew(worker)
      await worker.query('UPDATE lives SET proven_since = proven_since - 60000')
      await accept()
      await claim()
    })

    it('calls a worker alive that has held its lock and its lease for a while', async () => {
      assert.equal(await isAliveWhenTakenFrom(), true)
    })

    it('calls it alive although somebody else ends or deletes its lease', async () => {
      await other.query("UPDATE workers SET lease_expires_at = now() - interval '1 hour'")
      await other.query('DELETE FROM workers')
      assert.equal(await isAliveWhenTakenFrom(), true)
    })

    it('does not call a worker alive after a silence, until it has proved it again', async () => {
      await silenceFor(4000)
      assert.equal(await isAliveWhenTakenFrom(), false)
      await claim()
      await renew(worker)
      assert.equal(await isAliveWhenTakenFrom(), false)
    })

    it('does not count a stop of all replicas as silence', async () => {
      await silenceFor(4000)
      await announceStandstill(other, 4000)
      await other.query('UPDATE standstills SET from_ms = from_ms - 4000, to_ms = to_ms - 4000')
      assert.equal(await isAliveWhenTakenFrom(), true)
      await claim()
      await renew(worker)
      assert.equal(await isAliveWhenTakenFrom(), true)
    })

    it('does not call a worker alive that has lost its lock', async () => {
      await worker.query('SELECT pg_advisory_unlock_all()')
      assert.equal(await isAliveWhenTakenFrom(), false)
    })

    async function isAliveWhenTakenFrom(): Promise<boolean | undefined> {
      await other.query("UPDATE callbacks SET state = 'pending', claimed_by = NULL, claim_token = NULL")
      return (await readWitness(other)).transitions.at(-1)?.isWorkerAlive
    }

    async function silenceFor(ms: number): Promise<void> {
      await worker.query('UPDATE lives SET renewed_at = renewed_at - $1', [ms])
    }
  })

  it('records when answers are stored, also over others, and no other change of objects', async () => {
    const store = `INSERT INTO objects (id, online, fetched_at, stored_at, expires_at, callback_id) VALUES (1, true, now(), now(), now(), '${CALLBACK}')
      ON CONFLICT (workspace, id) DO UPDATE SET fetched_at = excluded.fetched_at`
    const from = Date.now()
    await worker.query(store)
    await worker.query(store)
    await worker.query("UPDATE objects SET expires_at = expires_at + interval '1 hour'")
    const stored = (await readWitness(other)).stores.get('default 1') ?? []
    assert.equal(stored.length, 2)
    for (const ms of stored) assert.ok(Math.abs(ms - from) < 1000, `${ms - from} ms later`)
  })

  describe('of leases', () => {
    const store = (online: boolean, fetchedAt: string) =>
      worker.query(`INSERT INTO objects (id, online, fetched_at, stored_at, expires_at, callback_id)
        VALUES (2, ${online}, ${fetchedAt}, now(), now(), '${CALLBACK}') ON CONFLICT (workspace, id) DO UPDATE SET online = excluded.online, fetched_at = excluded.fetched_at`)
    const suspected = async () => (await readWitness(other)).suspects.map(({ place, why }) => `${place} ${why}`)

    beforeEach(async () => {
      await accept()
      await worker.query(
        `UPDATE callbacks SET state = 'running', agent_id = gen_random_uuid(), claim_token = gen_random_uuid(), leased_at = now()`,
      )
    })

    it('records that it was an agent that had the callback', async () => {
      await other.query(`UPDATE callbacks SET state = 'pending', agent_id = NULL, claim_token = NULL`)
      assert.deepEqual(
        (await readWitness(other)).transitions.map(({ wasLeased }) => wasLeased),
        [false, true],
      )
    })

    it('suspects objects that were stored untrue', async () => {
      await store(true, 'now()')
      assert.deepEqual(await suspected(), [])
      await store(false, 'now()')
      assert.deepEqual(await suspected(), ['default 2 untrue'])
    })

    it('suspects objects that seem to be asked for after their lease began, unless a worker may have asked', async () => {
      await store(true, `now() + interval '1 second'`)
      assert.deepEqual(await suspected(), ['default 2 fresh'])
      await other.query(`UPDATE callbacks SET state = 'pending', agent_id = NULL, claim_token = NULL`)
      await claim()
      assert.deepEqual(await suspected(), [])
    })
  })

  async function accept(): Promise<void> {
    await worker.query(`INSERT INTO callbacks (id, object_ids) VALUES ('${CALLBACK}', '{1}')`)
  }

  async function claim(): Promise<void> {
    await worker.query("UPDATE callbacks SET state = 'running', claimed_by = 7, claim_token = gen_random_uuid()")
  }

  async function renew(client: pg.Client): Promise<void> {
    await client.query(`INSERT INTO workers (number, host, pid, lease_expires_at) VALUES (7, 'a', 1, now())
      ON CONFLICT (number) DO UPDATE SET lease_expires_at = excluded.lease_expires_at`)
  }
})
