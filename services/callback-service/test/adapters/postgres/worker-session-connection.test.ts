import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { hostname } from 'node:os'
import { mock } from 'node:test'
import pg from 'pg'
import { pino } from 'pino'
import { WorkerSession, type WorkerSessionOptions } from '../../../adapters/postgres/worker-session.ts'

const LEASE_MS = 6000
const WORKERS_ROW = ['number', 'host', 'pid', 'leaseMs', 'backend', 'isNew'] as const

/** What the server of these tests does next. */
interface ServerState {
  /** Connections it refuses. */
  refuses: boolean
  isPooler: boolean
  grantsLock: boolean
  /** Whether who holds the lock is this process's lost connection. */
  endsHolder: boolean
  renews: boolean
  nextNumber: number
}

/** A connection to a server that is there in name only. */
class TestClient extends EventEmitter {
  static server: ServerState
  static all: TestClient[] = []
  readonly config: pg.ClientConfig
  readonly asked: { sql: string; values: unknown[] }[] = []
  readonly backend = 100 + TestClient.all.length
  readonly processID: number
  ended = 0

  constructor(config: pg.ClientConfig) {
    super()
    this.config = config
    this.processID = TestClient.server.isPooler ? 1 : this.backend
    TestClient.all.push(this)
  }

  async connect(): Promise<void> {
    if (TestClient.server.refuses) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  }

  async query(sql: string, values: unknown[] = []): Promise<{ rows: object[]; rowCount: number }> {
    const { server } = TestClient
    this.asked.push({ sql: sql.trim().split(/\s+/, 3).join(' '), values })
    if (sql.includes('nextval')) server.nextNumber += 1
    const rows = [{ pid: this.backend, number: server.nextNumber, locked: server.grantsLock }]
    if (sql.startsWith('SELECT pg_terminate_backend')) return { rows, rowCount: server.endsHolder ? 1 : 0 }
    return { rows, rowCount: sql.startsWith('INSERT') && !server.renews ? 0 : 1 }
  }

  async end(): Promise<void> {
    this.ended += 1
  }

  /** The renewals that came this way. */
  get renewals(): Record<string, unknown>[] {
    const inserts = this.asked.filter(({ sql }) => sql === 'INSERT INTO workers')
    return inserts.map(({ values }) => Object.fromEntries(WORKERS_ROW.map((name, i) => [name, values[i]])))
  }

  get statements(): string[] {
    return this.asked.map(({ sql }) => sql)
  }
}

describe('WorkerSession, and its connection', () => {
  const { Client } = pg
  let session: WorkerSession
  let lines: { level: number; msg: string; reason?: string; worker?: number; err?: { message: string } }[]

  beforeEach(() => {
    TestClient.all = []
    TestClient.server = { refuses: false, isPooler: false, grantsLock: true, endsHolder: true, renews: true, nextNumber: 6 }
    lines = []
    Object.assign(pg, { Client: TestClient })
    mock.timers.enable({ apis: ['setTimeout'] })
    create()
  })

  afterEach(async () => {
    mock.timers.reset()
    await session.stop()
    Object.assign(pg, { Client })
  })

  function create(changes: Partial<WorkerSessionOptions> = {}): void {
    const logger = pino({ level: 'debug' }, { write: line => lines.push(JSON.parse(line)) })
    session = new WorkerSession({ url: 'postgresql://db/x', leaseMs: LEASE_MS, logger, ...changes })
  }

  async function pass(ms = 0): Promise<void> {
    mock.timers.tick(ms)
    for (let i = 0; i < 5; i += 1) await new Promise(setImmediate)
  }

  async function start(): Promise<TestClient> {
    session.start()
    await pass()
    return client()
  }

  const client = (): TestClient => TestClient.all.at(-1) as TestClient
  const worker = (): number | undefined => session.workerNumber
  const known = () => ({
    worker: worker(),
    problem: session.problem,
    isFirst: session.isFirstSession,
    mayComeBack: session.mayComeBack,
  })

  it('has a connection that keeps itself alive, is never waited for, and does not wait for the disk', async () => {
    const { config } = await start()
    const { connectionString, options, connectionTimeoutMillis, query_timeout, keepAlive, application_name } = config
    assert.deepEqual(
      { connectionString, connectionTimeoutMillis, query_timeout, keepAlive, application_name },
      {
        connectionString: 'postgresql://db/x',
        connectionTimeoutMillis: 2000,
        query_timeout: 3000,
        keepAlive: true,
        application_name: 'answerback worker session',
      },
    )
    const wanted = { tcp_keepalives_idle: 2, tcp_keepalives_interval: 1, tcp_keepalives_count: 3, synchronous_commit: 'off' }
    assert.equal(
      options,
      Object.entries(wanted)
        .map(([name, value]) => `-c ${name}=${value}`)
        .join(' '),
    )
  })

  it('has a number once the lock and the lease are held, and says so', async () => {
    assert.deepEqual(known(), { worker: undefined, problem: 'the worker has no session yet', isFirst: true, mayComeBack: false })
    const before = performance.now()
    const { renewals, backend } = await start()
    assert.deepEqual(known(), { worker: 7, problem: undefined, isFirst: true, mayComeBack: true })
    assert.ok((session.heldSinceMs ?? 0) >= before)
    assert.deepEqual(renewals, [{ number: 7, host: hostname(), pid: process.pid, leaseMs: LEASE_MS, backend, isNew: true }])
    assert.ok(client().statements.includes('DELETE FROM workers'), 'what died long ago is cleared away')
  })

  it('renews the lease after a third of it, on the same connection, its row not new any more', async () => {
    const first = await start()
    const since = session.heldSinceMs
    await pass(LEASE_MS / 3 - 1)
    assert.equal(first.renewals.length, 1)
    await pass(1)
    assert.deepEqual([first.renewals.map(({ isNew }) => isNew), TestClient.all.length], [[true, false], 1])
    assert.equal(session.heldSinceMs, since)
  })

  for (const [what, reason, lose] of [
    ['fails', 'reset', (lost: TestClient) => lost.emit('error', new Error('reset'))],
    ['ends', 'the connection was closed', (lost: TestClient) => lost.emit('end')],
  ] as [string, string, (lost: TestClient) => void][]) {
    it(`makes a new connection at once when its own ${what}, and has the same number`, async () => {
      const lost = await start()
      lose(lost)
      assert.deepEqual(known(), { worker: undefined, problem: reason, isFirst: true, mayComeBack: true })
      assert.equal(session.heldSinceMs, undefined)
      await pass()
      assert.deepEqual(known(), { worker: 7, problem: undefined, isFirst: false, mayComeBack: true })
      assert.deepEqual([TestClient.all.length, lost.ended, client().renewals[0]?.['isNew']], [2, 1, false])
      const told = lines.filter(({ level }) => level >= 30).map(line => [line.level, line.reason, line.worker])
      assert.deepEqual(told, [
        [40, reason, 7],
        [30, undefined, 7],
      ])
    })
  }

  it('takes no notice of what a connection says that it has given up', async () => {
    const lost = await start()
    lost.emit('error', new Error('reset'))
    await pass()
    lost.emit('end')
    lost.emit('error', new Error('reset'))
    assert.deepEqual([worker(), session.problem], [7, undefined])
  })

  it('does not take a renewal for its own whose connection was lost meanwhile', async () => {
    const lost = await start()
    const { query } = lost
    lost.query = async function (...statement) {
      this.emit('error', new Error('reset'))
      return query.apply(this, statement)
    }
    TestClient.server.refuses = true
    await pass(LEASE_MS / 3)
    assert.deepEqual([worker(), lines.filter(({ msg }) => msg === 'worker session held')], [undefined, []])
  })

  it('tries again within half a second while the server refuses it', async () => {
    TestClient.server.refuses = true
    await start()
    assert.match(session.problem ?? '', /ECONNREFUSED/)
    for (const ms of [100, 200, 400, 500, 500]) await pass(ms)
    assert.equal(TestClient.all.length, 6)
    TestClient.server.refuses = false
    await pass(500)
    assert.equal(worker(), 7)
    // The trouble is told of here, and not once more as that of the duty that renews.
    assert.deepEqual(
      new Set(lines.filter(({ level }) => level >= 40).map(({ msg }) => msg)),
      new Set(['worker session lost or unavailable, retrying']),
    )
  })

  it('reports a reason that is not an Error as it is', async () => {
    TestClient.prototype.connect = mock.fn(() => Promise.reject('a bare word'))
    try {
      await start()
      assert.match(session.problem ?? '', /a bare word/)
    } finally {
      TestClient.prototype.connect = async () => undefined
    }
  })

  for (const [whose, endsHolder, number] of [
    ['its own lost connection', true, 7],
    ['another process', false, 8],
  ] as const) {
    it(`has the number ${number} at the second try where ${whose} holds the lock of 7`, async () => {
      Object.assign(TestClient.server, { grantsLock: false, endsHolder })
      await start()
      assert.deepEqual([worker(), session.problem], [undefined, 'the lock of worker 7 was still held'])
      const [ending] = client().asked.filter(({ sql }) => sql.startsWith('SELECT pg_terminate_backend'))
      assert.deepEqual(ending?.values, [7, hostname(), process.pid])
      TestClient.server.grantsLock = true
      await pass(100)
      assert.deepEqual([worker(), client().renewals[0]?.['isNew']], [number, true])
    })
  }

  it('has a new row with a new number, though it had one', async () => {
    const lost = await start()
    Object.assign(TestClient.server, { grantsLock: false, endsHolder: false })
    lost.emit('end')
    await pass()
    TestClient.server.grantsLock = true
    await pass(100)
    assert.deepEqual([worker(), client().renewals[0]?.['isNew']], [8, true])
  })

  it('works no more when a renewal finds the lock gone, and has it again on another connection', async () => {
    await start()
    TestClient.server.renews = false
    await pass(LEASE_MS / 3)
    assert.deepEqual(known(), { worker: undefined, problem: 'the worker lost its lock', isFirst: true, mayComeBack: true })
    TestClient.server.renews = true
    await pass(100)
    assert.deepEqual([worker(), TestClient.all.length], [7, 2])
  })

  describe('behind a pooler', () => {
    beforeEach(() => {
      TestClient.server.isPooler = true
    })

    it('takes no number, and says which setting is missing', async () => {
      await start()
      assert.match(session.problem ?? '', /connection pooler .*DATABASE_SESSION_URL/)
      assert.deepEqual([client().statements, session.mayComeBack], [['SELECT pg_backend_pid() AS'], false])
    })

    it('has a session where that is said to keep sessions, until it is seen not to', async () => {
      create({ keepsSessions: true })
      await start()
      assert.deepEqual(known(), { worker: 7, problem: undefined, isFirst: true, mayComeBack: true })
      TestClient.server.renews = false
      await pass(LEASE_MS / 3)
      assert.match(session.problem ?? '', /lost its lock: .*connection pooler/)
      assert.equal(session.mayComeBack, false)
      TestClient.server.renews = true
      await pass(100)
      assert.match(session.problem ?? '', /^(?!.*lost its lock).*connection pooler/)
      assert.equal(worker(), undefined)
    })
  })

  describe('stop', () => {
    it('gives the row and the connection back, and lets nobody claim from its first moment on', async () => {
      await start()
      const stopped = session.stop()
      await pass()
      await stopped
      assert.deepEqual([worker(), session.heldSinceMs], [undefined, undefined])
      const [last] = client().asked.slice(-1)
      assert.deepEqual([last, client().ended], [{ sql: 'DELETE FROM workers', values: [7] }, 1])
      client().emit('end')
      await pass(LEASE_MS)
      assert.equal(TestClient.all.length, 1)
    })

    it('ends the connection too where the row cannot be deleted, and says so at debug', async () => {
      await start()
      client().query = () => Promise.reject(new Error('too late'))
      await session.stop()
      assert.equal(client().ended, 1)
      assert.deepEqual(
        lines.filter(({ level }) => level === 20).map(({ msg, err }) => [msg, err?.message]),
        [['worker row left behind', 'too late']],
      )
    })
  })

  it('says at debug where a lost connection does not close', async () => {
    const lost = await start()
    lost.end = () => Promise.reject(new Error('stuck'))
    lost.emit('error', new Error('reset'))
    await pass()
    const told = lines.filter(({ level }) => level === 20).map(({ msg, err }) => [msg, err?.message])
    assert.deepEqual(told, [['lost connection did not close cleanly', 'stuck']])
  })
})
