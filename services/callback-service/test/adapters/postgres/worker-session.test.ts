import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { pino } from 'pino'
import { withClient } from '../../../../../test/support/database.ts'
import { eventually } from '../../../../../test/support/eventually.ts'
import { FakePooler } from '../../../../../test/support/fake-pooler.ts'
import { TcpProxy } from '../../../../../test/support/tcp-proxy.ts'
import { ADVISORY_CLASS, WorkerSession } from '../../../adapters/postgres/worker-session.ts'
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
    await eventually('the worker has a number', () => session.workerNumber !== undefined)
    return session.workerNumber as number
  }

  /** Reads the worker numbers whose lock is held. */
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
    assert.equal(session.workerNumber, undefined)
    session.start()
    assert.equal(session.workerNumber, undefined)
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

  it('gets its number back, with lock and lease, after its connection was cut, and has none meanwhile', async () => {
    const { session, number } = await start()
    proxy.refuse()
    await eventually('it knows that it lost its connection', () => session.workerNumber === undefined)
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

  it('gets its number when the database starts later', async () => {
    proxy.refuse()
    const session = newSession()
    session.start()
    await eventually('it has tried', () => proxy.connections > 0)
    proxy.forward()
    const number = await numberOf(session)
    assert.deepEqual(await locks(), [number])
  })

  it('ends its lost connection if Postgres still keeps it, and gets its number back', async () => {
    const { session, number } = await start()
    proxy.abandon()
    await eventually('it knows that it lost its connection', () => session.workerNumber === undefined)
    assert.equal(await numberOf(session), number)
    assert.deepEqual(await locks(), [number])
  })

  it('leaves its number to another process that holds it, and takes a new one', async () => {
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
    assert.equal(session.workerNumber, undefined)
    assert.equal(await leaseLeftMs(number), undefined)
    await eventually('the lock is free', async () => (await locks()).length === 0)
  })

  it('stops within seconds when Postgres does not answer', async () => {
    const { session } = await start()
    proxy.goSilent()
    const started = performance.now()
    await session.stop()
    assert.ok(performance.now() - started < 4000)
    assert.equal(session.workerNumber, undefined)
  }).timeout(10_000)

  it('may be stopped twice, or without having started', async () => {
    const { session } = await start()
    await Promise.all([session.stop(), session.stop()])
    await newSession().stop()
  })

  it('deletes the rows of workers that died long ago, but no row whose lock is held, because a clock may have stepped', async () => {
    await storage.query(`INSERT INTO workers (number, host, pid, lease_expires_at) VALUES
      (-1, 'host', 1, now() - interval '61 minutes'), (-2, 'host', 1, now() - interval '59 minutes'), (-3, 'host', 1, now() - interval '2 days')`)
    await withClient(storage.url, async living => {
      await living.query('SELECT pg_advisory_lock($1, -3)', [ADVISORY_CLASS])
      await start()
      assert.equal(await leaseLeftMs(-1), undefined)
      assert.ok((await leaseLeftMs(-2)) !== undefined)
      assert.ok((await leaseLeftMs(-3)) !== undefined)
    })
  })

  it('takes over a row that another worker left behind under its number', async () => {
    const before = await start()
    await before.session.stop()
    const number = before.number + 1
    await storage.query(
      `INSERT INTO workers (number, host, pid, started_at, lease_expires_at) VALUES ($1, 'another', 1, now() - interval '1 day', now())`,
      [number],
    )
    assert.equal((await start(600)).number, number)
    const read = () =>
      storage.query<{ host: string; pid: number; started_at: Date; is_recent: boolean; xmin: string }>(
        `SELECT host, pid, started_at, started_at > now() - interval '1 minute' AS is_recent, xmin::text FROM workers WHERE number = $1`,
        [number],
      )
    const [row] = await read()
    assert.deepEqual([row?.host, row?.pid, row?.is_recent], [hostname(), process.pid, true])
    // Each renewal changes the row, but no renewal changes `started_at`.
    await eventually('it was renewed', async () => (await read())[0]?.xmin !== row?.xmin)
    assert.deepEqual((await read())[0]?.started_at, row?.started_at)
  })

  it('says since when it has been held without a break, and whether it was ever lost', async () => {
    const began = performance.now()
    const session = newSession(600)
    assert.deepEqual([session.heldSinceMs, session.isFirstSession], [undefined, true])
    session.start()
    const number = await numberOf(session)
    const first = session.heldSinceMs ?? Number.NaN
    assert.ok(first >= began && first <= performance.now())
    const leaseEnd = async () =>
      (await storage.query<{ at: string }>('SELECT lease_expires_at::text AS at FROM workers WHERE number = $1', [number]))[0]?.at
    const firstEnd = await leaseEnd()
    await eventually('it was renewed', async () => (await leaseEnd()) !== firstEnd)
    assert.deepEqual([session.heldSinceMs, session.isFirstSession], [first, true])
    proxy.cut()
    await eventually('it knows', () => session.heldSinceMs !== first)
    await numberOf(session)
    assert.ok((session.heldSinceMs ?? 0) > first)
    assert.equal(session.isFirstSession, false)
  })

  it('logs once why it has no session, and also says so when asked', async () => {
    const role = `poor_${process.pid}`
    await storage.query(`CREATE ROLE ${role} LOGIN PASSWORD 'poor'; GRANT SELECT, INSERT, UPDATE, DELETE ON workers TO ${role}`)
    try {
      const poor = new URL(proxy.url)
      Object.assign(poor, { username: role, password: 'poor' })
      const logged: { reason?: string }[] = []
      const session = new WorkerSession({
        url: poor.href,
        leaseMs: 60_000,
        logger: pino({ base: null }, { write: line => logged.push(JSON.parse(line)) }),
      })
      sessions.push(session)
      session.start()
      await eventually('it says why', () => /permission denied for sequence/.test(session.problem ?? ''))
      const tries = proxy.connections
      await eventually('it tries again, and again', () => proxy.connections > tries + 1)
      assert.deepEqual(
        logged.map(({ reason }) => reason),
        ['permission denied for sequence workers_number_seq'],
      )
      await storage.query(`GRANT USAGE ON SEQUENCE workers_number_seq TO ${role}`)
      await numberOf(session)
      assert.equal(session.problem, undefined)
      await session.stop()
    } finally {
      await storage.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    }
  })

  describe('behind a pooler', () => {
    let pooler: FakePooler

    beforeEach(async () => {
      pooler = new FakePooler(storage.url)
      await pooler.start()
    })

    // The sessions stop first, because their statements go through the pooler.
    afterEach(async () => {
      await Promise.all(sessions.splice(0).map(session => session.stop()))
      await pooler.stop()
    })

    function startBehind(settings: { keepsSessions?: boolean }): WorkerSession {
      const session = new WorkerSession({ url: pooler.url, leaseMs: 600, logger, ...settings })
      sessions.push(session)
      session.start()
      return session
    }

    it('takes no lock, and says which setting is missing', async () => {
      const session = startBehind({})
      await eventually('it says why', () => /set database\.sessionUrl \(DATABASE_SESSION_URL\)/.test(session.problem ?? ''))
      assert.deepEqual([session.workerNumber, session.mayComeBack], [undefined, false])
      assert.deepEqual(await locks(), [])
    })

    it('has its session if the operator declares that the address keeps sessions', async () => {
      const session = startBehind({ keepsSessions: true })
      const number = await numberOf(session)
      assert.deepEqual(await locks(), [number])
      assert.equal(session.mayComeBack, true)
    })

    it('notices with the next renewal that its statements go to a connection without its lock, and stops working', async () => {
      const session = startBehind({ keepsSessions: true })
      const number = await numberOf(session)
      await pooler.handOver()
      await eventually('it has lost its lock', () => /the worker lost its lock/.test(session.problem ?? ''))
      assert.deepEqual([session.workerNumber, session.mayComeBack], [undefined, false])
      assert.deepEqual(await locks(), [number])
    })
  })
})
