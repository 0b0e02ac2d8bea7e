import assert from 'node:assert/strict'
import { withClient } from '../../../../../test/support/database.ts'
import { eventually } from '../../../../../test/support/eventually.ts'
import { TcpProxy } from '../../../../../test/support/tcp-proxy.ts'
import { type Database, inDatabase } from '../../../adapters/postgres/database.ts'
import { StorageUnavailableError, ValueRefusedError } from '../../../domain/storage-errors.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('Database', () => {
  let storage: TestStorage
  let database: Database

  before(async () => {
    storage = await openTestStorage()
    database = storage.open()
  })

  after(() => storage.close())

  function run(sql: string, on = database): Promise<unknown> {
    return inDatabase(() => on.prisma.$queryRawUnsafe(sql))
  }

  async function msToFail(statement: Promise<unknown>): Promise<number> {
    const started = performance.now()
    await assert.rejects(statement, StorageUnavailableError)
    return performance.now() - started
  }

  describe('calls it the fault of the value', () => {
    const statements: [string, string][] = [
      ['when it is not a number', `SELECT 'x'::bigint`],
      ['when it is beyond its type', `SELECT '9223372036854775808'::bigint`],
      ['when it is not JSON', `SELECT '{'::json`],
      ['when it holds U+0000', `SELECT * FROM json_to_recordset('[{"t": "\\u0000"}]') AS r(t text)`],
      ['when it is null where it must not be', `INSERT INTO workers (host, pid) VALUES ('h', 1)`],
      [
        'when it is there already',
        `INSERT INTO callbacks (id) SELECT '01890a5d-ac96-774b-bcce-b302099a8057'::uuid FROM generate_series(1, 2)`,
      ],
    ]
    for (const [what, sql] of statements) {
      it(what, async () => {
        await assert.rejects(run(sql), error => error instanceof ValueRefusedError && error.message.length > 0 && error.cause !== undefined)
      })
    }
  })

  describe('calls it trouble of the database', () => {
    const raise = (sqlState: string): string => `DO $$ BEGIN RAISE EXCEPTION 'words' USING ERRCODE = '${sqlState}'; END $$`
    const statements: [string, string, RegExp][] = [
      ['when a table is missing, and says what to do', 'SELECT FROM absent', /not migrated: run `make migrate`/],
      ['when a column is missing, and says what to do', 'SELECT absent FROM callbacks', /not migrated: run `make migrate`/],
      ['when the disk is full', raise('53100'), /words/],
      ['when there are too many connections', raise('53300'), /words/],
      ['when it was chosen as the victim of a deadlock', raise('40P01'), /words/],
      ['when it shuts down', raise('57P01'), /words/],
      ['when it only reads', 'DO $$ BEGIN SET transaction_read_only = on; DELETE FROM callbacks; END $$', /read-only/],
      ['when the connection is cut in the middle', 'SELECT pg_terminate_backend(pg_backend_pid())', /terminat/],
    ]
    for (const [what, sql, words] of statements) {
      it(what, async () => {
        await assert.rejects(run(sql), error => error instanceof StorageUnavailableError && words.test(error.message))
      })
    }
  })

  it('gives up a statement that takes too long, also on the server, and continues', async () => {
    const impatient = storage.open({ queryTimeoutMs: 200, maxConnections: 1, name: 'impatient' })
    assert.ok((await msToFail(run('SELECT pg_sleep(30)', impatient))) < 1000)
    assert.deepEqual(await run('SELECT 1 AS one', impatient), [{ one: 1 }])
    await eventually('the server has ended it', async () => {
      const active = await storage.query(
        `SELECT FROM pg_stat_activity WHERE application_name = 'answerback impatient' AND query LIKE '%pg_sleep(30)%'`,
      )
      return active.length === 0
    })
  })

  it('reuses the place of a statement that it gave up only after the server has ended it', async () => {
    const stuck = storage.open({ queryTimeoutMs: 200, maxConnections: 1, name: 'stuck' })
    // Like a commit that waits for a standby: no statement timeout ends it, and it does not notice a closed connection.
    await run(`SELECT set_config('statement_timeout', '0', false)`, stuck)
    assert.ok((await msToFail(run('SELECT pg_sleep(30)', stuck))) < 1000)
    await run('SELECT 1', stuck)
    const connections = await storage.query(`SELECT FROM pg_stat_activity WHERE application_name = 'answerback stuck'`)
    assert.equal(connections.length, 1)
  })

  it('reads times as they are, whatever time zone and date style the database and the URL ask for', async () => {
    const [{ name }] = (await storage.query('SELECT current_database() AS name')) as [{ name: string }]
    await storage.query(`ALTER DATABASE ${name} SET timezone = 'America/St_Johns'`)
    await storage.query(`ALTER DATABASE ${name} SET datestyle = 'SQL, DMY'`)
    try {
      const url = new URL(storage.url)
      url.searchParams.set('options', '-c timezone=Asia/Kathmandu')
      for (const foreign of [storage.open({ name: 'foreign' }), storage.open({ name: 'foreign too', url: url.href })])
        assert.deepEqual(await run('SELECT to_timestamp(1800000000.5) AS at', foreign), [{ at: new Date(1_800_000_000_500) }])
    } finally {
      await storage.query(`ALTER DATABASE ${name} RESET ALL`)
    }
  })

  it('sets what it needs whatever the URL says, and keeps the rest of the URL', async () => {
    const url = new URL(storage.url)
    for (const [name, value] of Object.entries({
      options: '-c statement_timeout=0 -c synchronous_commit=remote_apply -c search_path=elsewhere -c tcp_keepalives_idle=7200',
      statement_timeout: '0',
      query_timeout: '1',
      idle_in_transaction_session_timeout: '0',
      application_name: 'theirs',
    }))
      url.searchParams.set(name, value)
    const theirs = storage.open({ url: url.href, queryTimeoutMs: 4000 })
    const names = [
      'synchronous_commit',
      'statement_timeout',
      'idle_in_transaction_session_timeout',
      'tcp_keepalives_idle',
      'search_path',
      'application_name',
    ]
    const rows = await run(
      `SELECT ${names.map(name => `current_setting('${name}') AS ${name}`).join(', ')}, pg_sleep(0.05)::text AS slept`,
      theirs,
    )
    assert.deepEqual(rows, [
      {
        synchronous_commit: 'remote_apply',
        statement_timeout: '4s',
        idle_in_transaction_session_timeout: '10s',
        tcp_keepalives_idle: '5',
        search_path: 'elsewhere',
        application_name: 'theirs',
        slept: '',
      },
    ])
  })

  it('waits at most its timeout for a connection when all are in use', async () => {
    const narrow = storage.open({ maxConnections: 1, connectTimeoutMs: 200 })
    await withClient(storage.url, async client => {
      await client.query('BEGIN; LOCK TABLE callbacks')
      const holder = run('SELECT count(*) FROM callbacks', narrow)
      await eventually('the only connection is in use', async () => {
        const { rowCount } = await client.query(`SELECT FROM pg_locks WHERE relation = 'callbacks'::regclass AND NOT granted`)
        return rowCount === 1
      })
      assert.ok((await msToFail(run('SELECT 1', narrow))) < 1000)
      await client.query('COMMIT')
      await holder
    })
    assert.deepEqual(await run('SELECT 1 AS one', narrow), [{ one: 1 }])
  })

  it('waits at most its timeout for a server that accepts connections and does not answer', async () => {
    const proxy = new TcpProxy(storage.url)
    await proxy.start()
    try {
      const patient = storage.open({ url: proxy.url, connectTimeoutMs: 200 })
      proxy.goSilent()
      assert.ok((await msToFail(run('SELECT 1', patient))) < 1000)
      proxy.forward()
      assert.deepEqual(await run('SELECT 1 AS one', patient), [{ one: 1 }])
    } finally {
      await proxy.stop()
    }
  })

  it('waits once, not for each of its connections, when they have gone silent', async () => {
    const proxy = new TcpProxy(storage.url)
    await proxy.start()
    try {
      const wide = storage.open({ url: proxy.url, queryTimeoutMs: 200, maxConnections: 3 })
      await Promise.all(Array.from({ length: 3 }, () => run('SELECT 1', wide)))
      assert.equal(proxy.connections, 3)
      proxy.goSilent()
      proxy.forward()
      assert.ok((await msToFail(run('SELECT 1', wide))) < 1000)
      assert.deepEqual(await run('SELECT 1 AS one', wide), [{ one: 1 }])
    } finally {
      await proxy.stop()
    }
  })

  it('survives the end of its idle connections, and makes new ones', async () => {
    const idle = storage.open({ maxConnections: 3, name: 'idle' })
    const connections = async (): Promise<number> =>
      (await storage.query(`SELECT FROM pg_stat_activity WHERE application_name = 'answerback idle'`)).length
    await Promise.all(Array.from({ length: 3 }, () => run('SELECT 1', idle)))
    assert.equal(await connections(), 3)
    await storage.terminateOthers()
    await eventually('they are gone', async () => (await connections()) === 0)
    await eventually('it works again', () =>
      run('SELECT 1', idle).then(
        () => true,
        () => false,
      ),
    )
  })

  it('closes its connections when it stops', async () => {
    const stopped = storage.open({ name: 'stopped' })
    await run('SELECT 1', stopped)
    await stopped.stop()
    await eventually('they are gone', async () => {
      const left = await storage.query(`SELECT FROM pg_stat_activity WHERE application_name = 'answerback stopped'`)
      return left.length === 0
    })
  })
})
