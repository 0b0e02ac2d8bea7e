import assert from 'node:assert/strict'
import { withClient } from '../../../../test/support/database.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { TcpProxy } from '../../../../test/support/tcp-proxy.ts'
import { ADVISORY_CLASS, WorkerSession } from '../../adapters/worker-session.ts'
import { logger, openTestStorage, type TestStorage } from './test-storage.ts'

describe('WorkerSession', () => {
  let storage: TestStorage
  let proxy: TcpProxy
  const sessions: WorkerSession[] = []

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    proxy = new TcpProxy(storage.url)
    await proxy.start()
  })

  afterEach(async () => {
    await Promise.all(sessions.splice(0).map(session => session.stop()))
    await proxy.stop()
    await eventually('no lock is left behind', async () => (await locks()).length === 0)
    await storage.query('DELETE FROM workers')
  })

  after(() => storage.close())

  function newSession(leaseMs = 3_600_000): WorkerSession {
    const session = new WorkerSession({ url: proxy.url, leaseMs, logger })
    sessions.push(session)
    return session
  }

  async function start(leaseMs?: number): Promise<{ session: WorkerSession; number: number }> {
    const session = newSession(leaseMs)
    session.start()
    return { session, number: await numberOf(session) }
  }

  async function numberOf(session: WorkerSession): Promise<number> {
    await eventually('the worker has a number', () => session.worker !== undefined)
    return session.worker as number
  }

  /** The numbers whose lock is held. */
  async function locks(): Promise<number[]> {
    const rows = await storage.query<{ number: number }>(
      `SELECT objid::int AS number FROM pg_locks WHERE locktype = 'advisory' AND classid = $1::int::oid AND objsubid = 2 AND granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       ORDER BY 1`,
      [ADVISORY_CLASS],
    )
    return rows.map(({ number }) => number)
  }

  async function leaseLeftMs(number: number): Promise<number | undefined> {
    const rows = await storage.query<{ ms: number }>(
      'SELECT extract(epoch FROM lease_expires_at - clock_timestamp())::float8 * 1000 AS ms FROM workers WHERE number = $1',
      [number],
    )
    return rows[0]?.ms
  }

  it('has no number before it holds a lock and a lease, and holds both when it has one', async () => {
    const session = newSession(60_000)
    assert.equal(session.worker, undefined)
    session.start()
    assert.equal(session.worker, undefined)
    const number = await numberOf(session)
    assert.deepEqual(await locks(), [number])
    const leftMs = (await leaseLeftMs(number)) ?? 0
    assert.ok(leftMs > 55_000 && leftMs <= 60_000, `${leftMs} ms left`)
  })

  it('gives two sessions two numbers', async () => {
    const [one, two] = [await start(), await start()]
    assert.notEqual(one.number, two.number)
    assert.deepEqual(
      await locks(),
      [one.number, two.number].sort((a, b) => a - b),
    )
  })

  it('renews its lease long before it runs out', async () => {
    const leaseMs = 900
    const { number } = await start(leaseMs)
    const ends = new Set<number>()
    await eventually('it was renewed twice', async () => {
      const [row] = await storage.query<{ lease_expires_at: Date }>('SELECT lease_expires_at FROM workers WHERE number = $1', [number])
      ends.add(row?.lease_expires_at.getTime() ?? Number.NaN)
      return ends.size === 3
    })
    const [first = 0, second = 0, third = 0] = [...ends]
    assert.ok(second - first < leaseMs && third - second < leaseMs, [...ends].join(', '))
  })

  it('has its number again, with lock and lease, after its connection was cut, and none meanwhile', async () => {
    const { session, number } = await start()
    proxy.refuse()
    await eventually('it knows that it lost its connection', () => session.worker === undefined)
    await eventually('the lock went with the connection', async () => (await locks()).length === 0)
    proxy.forward()
    assert.equal(await numberOf(session), number)
    assert.deepEqual(await locks(), [number])
  })

  it('is back at once, with its number, when Postgres ends its connection', async () => {
    const { session, number } = await start()
    const backend = async (): Promise<number | undefined> => {
      const [row] = await storage.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE application_name = 'answerback worker session' AND datname = current_database()`,
      )
      return row?.pid
    }
    const pid = await backend()
    await storage.terminateOthers()
    await eventually('it has another connection', async () => ![undefined, pid].includes(await backend()))
    assert.equal(await numberOf(session), number)
    assert.deepEqual(await locks(), [number])
  })

  it('gets its number when the database comes after it', async () => {
    proxy.refuse()
    const session = newSession()
    session.start()
    await eventually('it has tried', () => proxy.connections > 0)
    proxy.forward()
    const number = await numberOf(session)
    assert.deepEqual(await locks(), [number])
  })

  it('ends its lost connection where Postgres still believes in it, and has its number again', async () => {
    const { session, number } = await start()
    proxy.abandon()
    await eventually('it knows that it lost its connection', () => session.worker === undefined)
    assert.equal(await numberOf(session), number)
    assert.deepEqual(await locks(), [number])
  })

  it('leaves its number to another process that has it too, and takes a new one', async () => {
    const { session, number } = await start()
    await withClient(storage.url, async other => {
      proxy.refuse()
      await eventually('the other has the lock', async () => {
        const { rows } = await other.query('SELECT pg_try_advisory_lock($1, $2) AS locked', [ADVISORY_CLASS, number])
        return rows[0].locked
      })
      await other.query(`UPDATE workers SET host = 'another' WHERE number = $1`, [number])
      proxy.forward()
      const next = await numberOf(session)
      assert.notEqual(next, number)
      assert.deepEqual(await locks(), [number, next])
    })
  })

  it('gives its lock, its row and its number back when it stops', async () => {
    const { session, number } = await start()
    await session.stop()
    assert.equal(session.worker, undefined)
    assert.equal(await leaseLeftMs(number), undefined)
    await eventually('the lock is free', async () => (await locks()).length === 0)
  })

  it('stops within seconds when Postgres does not answer', async () => {
    const { session } = await start()
    proxy.goSilent()
    const started = performance.now()
    await session.stop()
    assert.ok(performance.now() - started < 4000)
    assert.equal(session.worker, undefined)
  }).timeout(10_000)

  it('may be stopped twice, or without having started', async () => {
    const { session } = await start()
    await Promise.all([session.stop(), session.stop()])
    await newSession().stop()
  })

  it('clears away what workers left behind that died long ago', async () => {
    await storage.query(`INSERT INTO workers (number, host, pid, lease_expires_at) VALUES
      (-1, 'host', 1, now() - interval '61 minutes'), (-2, 'host', 1, now() - interval '59 minutes')`)
    await start()
    assert.equal(await leaseLeftMs(-1), undefined)
    assert.ok((await leaseLeftMs(-2)) !== undefined)
  })
})
