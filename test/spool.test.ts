import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CallbackAnswer, finished, postCallback, range, readCallback, readMetrics } from './support/callbacks.ts'
import { until } from './support/eventually.ts'
import type { ServiceProcess } from './support/service-process.ts'
import { type Surroundings, startSurroundings } from './support/system.ts'
import { TcpProxy } from './support/tcp-proxy.ts'

describe('the spool', function () {
  this.timeout(60_000)
  let system: Surroundings
  let proxy: TcpProxy
  let folder: string
  let service: ServiceProcess

  before(async () => {
    system = await startSurroundings()
  })

  beforeEach(async () => {
    await system.db.query('TRUNCATE callbacks, objects')
    folder = await mkdtemp(join(tmpdir(), 'answerback-spool-'))
    proxy = new TcpProxy(system.databaseUrl)
    await proxy.start()
    service = await (await start('a')).ready()
  })

  afterEach(async () => {
    proxy.forward()
    await system.stopCallbackServices()
    await proxy.stop()
    await rm(folder, { recursive: true })
  })

  after(() => system.stop())

  const start = (name: string, settings: Record<string, string> = {}): Promise<ServiceProcess> =>
    system.startCallbackService({ DATABASE_URL: proxy.url, SPOOL_PATH: join(folder, `${name}.sqlite`), ...settings })

  async function accept(url: string, ids: readonly number[], key?: string): Promise<CallbackAnswer & { durability: string }> {
    const response = await postCallback(url, ids, key === undefined ? {} : { 'idempotency-key': key })
    assert.equal(response.status, 202, await response.clone().text())
    return (await response.json()) as CallbackAnswer & { durability: string }
  }

  const rows = async (): Promise<string[]> =>
    (await system.db.query('SELECT id FROM callbacks ORDER BY received_at, due_at')).rows.map(row => row.id)

  it('accepts while the database is away, also after a kill -9, and moves all callbacks when it is back, each once and in order', async () => {
    const stored: string[] = []
    // A commit that takes longer than the patience of the service goes to the spool, too.
    await until(async () => {
      const { id, durability } = await accept(service.url, [1])
      stored.push(id)
      return durability === 'database'
    })
    proxy.refuse()
    const spooled: string[] = []
    for (const id of range(2, 20)) {
      const answer = await accept(service.url, [id])
      assert.equal(answer.durability, 'spooled')
      spooled.push(answer.id)
    }
    assert.equal((await readCallback(service.url, spooled[0] as string)).state, 'pending')
    await service.stop('SIGKILL')
    // The service starts during the outage of the database, and accepts callbacks.
    const again = await start('a')
    spooled.push((await accept(again.url, [22])).id)
    assert.equal((await fetch(`${again.url}/readyz`)).status, 503)
    assert.equal((await fetch(`${again.url}/livez`)).status, 200)
    proxy.forward()
    await until(async () => (await rows()).length === stored.length + 21, 30_000)
    assert.deepEqual(await rows(), [...stored, ...spooled])
    for (const id of [...stored, ...spooled]) assert.equal((await finished(again.url, id)).state, 'completed')
    await until(async () => (await accept(again.url, [23])).durability === 'database')
  })

  it('keeps the service ready without the database while it has room, with keepsReady', async () => {
    const b = await (await start('b', { SPOOL_KEEPS_READY: 'true', SPOOL_MAX_BYTES: '100000' })).ready()
    proxy.refuse()
    const health = async () => {
      const response = await fetch(`${b.url}/readyz`)
      const { status, checks } = (await response.json()) as { status: string; checks: { database: { status: string } } }
      return [response.status, status, checks.database.status]
    }
    await until(async () => (await health())[2] === 'failing')
    assert.deepEqual(await health(), [200, 'degraded', 'failing'])
    while ((await postCallback(b.url, range(1, 1000))).status === 202);
    assert.deepEqual(await health(), [503, 'unavailable', 'failing'])
  })

  it('makes its folder before the snapshot of the keys is written there', async () => {
    const b = await (await start('new/b')).ready()
    await until(() => existsSync(join(folder, 'new/b.sqlite.access.json')))
    assert.deepEqual(
      b.log.filter(({ msg }) => msg.includes('snapshot')),
      [],
    )
  })

  it('is not used if its file is not a spool', async () => {
    await writeFile(join(folder, 'b.sqlite'), 'no spool '.repeat(200))
    const b = await (await start('b')).ready()
    const { status } = (await (await fetch(`${b.url}/readyz`)).json()) as { status: string }
    assert.equal(status, 'degraded')
    assert.equal((await accept(b.url, [1])).durability, 'database')
  })

  it('answers within its patience when the database hangs', async () => {
    proxy.goSilent()
    const started = performance.now()
    const answers = await Promise.all(range(1, 50).map(id => accept(service.url, [id])))
    assert.ok(performance.now() - started < 1000, `${performance.now() - started} ms`)
    assert.ok(answers.every(({ durability }) => durability === 'spooled'))
    proxy.forward()
    proxy.cut()
    await until(async () => (await rows()).length === 50)
  })

  it('makes one callback of fifty copies that two replicas spool, and of one whose commit was not answered', async () => {
    const other = await (await start('b')).ready()
    const lost = proxy.loseNextAnswer()
    const unheard = accept(service.url, [1, 2, 3], 'key 1')
    await lost
    proxy.refuse()
    const copies = await Promise.all(range(0, 50).map(i => accept((i % 2 === 0 ? service : other).url, [1, 2, 3], 'key 1')))
    assert.deepEqual(new Set([...copies, await unheard].map(({ id }) => id)).size, 1)
    proxy.forward()
    const [copy] = copies
    await until(async () => (await rows()).length > 0)
    await until(async () => (await accept(service.url, [9])).durability === 'database')
    await until(async () => (await accept(other.url, [9])).durability === 'database')
    assert.equal((await system.db.query("SELECT FROM callbacks WHERE idempotency_key = 'key 1'")).rowCount, 1)
    assert.equal((await finished(other.url, copy?.id ?? '')).state, 'completed')
  })

  describe('beside the database, of callbacks with one idempotency key and other ids that come at once', () => {
    const ROUNDS = 30

    /** Sends three callbacks under one key to the services in turn. @returns the result of each, by its object id */
    async function rivals(key: string, urls: readonly string[]): Promise<Map<number, { status: number; id: string; isReplay: boolean }>> {
      // The rivals share a commit, because they wait for the commits of these.
      const ahead = [...urls, ...urls].map(url => accept(url, [9]))
      const answers = [1, 2, 3].map(async (objectId, i) => {
        const response = await postCallback(urls[i % urls.length] as string, [objectId], { 'idempotency-key': key })
        const body = (await response.json()) as { id: string; code: string }
        if (response.status !== 202) assert.deepEqual([response.status, body.code], [422, 'idempotency_key_reused'])
        return [objectId, { status: response.status, id: body.id, isReplay: response.headers.has('idempotency-replayed') }] as const
      })
      await Promise.all(ahead)
      return new Map(await Promise.all(answers))
    }

    async function isOneKept(key: string, urls: readonly string[]): Promise<readonly [number, string]> {
      const answers = await rivals(key, urls)
      const [[objectId, { id, isReplay }] = assert.fail(), ...more] = [...answers].filter(([, { status }]) => status === 202)
      assert.deepEqual([more, isReplay], [[], false])
      return [objectId, id]
    }

    const kept = async (): Promise<Map<string, number[]>> =>
      new Map(
        (await system.db.query('SELECT id, object_ids::int[] AS ids FROM callbacks WHERE object_ids <> $1', [[9]])).rows.map(row => [
          row.id,
          row.ids,
        ]),
      )

    it('accepts one over two replicas, and refuses the others', async () => {
      // These replicas have no spools. A busy machine would use them, and no replica knows the spool of another.
      const [one, other] = await Promise.all(['b', 'c'].map(async name => (await start(name, { SPOOL_PATH: '' })).ready()))
      const urls = [one?.url, other?.url] as string[]
      for (let round = 0; round < ROUNDS; round += 1) {
        const [objectId, id] = await isOneKept(`round ${round}`, urls)
        assert.deepEqual((await kept()).get(id), [objectId])
        const retry = await postCallback(urls[1] as string, [objectId], { 'idempotency-key': `round ${round}` })
        assert.deepEqual([((await retry.json()) as { id: string }).id, retry.headers.get('idempotency-replayed')], [id, 'true'])
      }
      assert.equal((await kept()).size, ROUNDS)
    })

    it('spools one, drains it, and refuses the others throughout', async () => {
      const accepted = new Map<string, number[]>()
      for (let round = 0; round < ROUNDS; round += 1) {
        if (round % 10 === 0) proxy.refuse()
        if (round % 10 === 5) proxy.forward()
        const [objectId, id] = await isOneKept(`round ${round}`, [service.url])
        accepted.set(id, [objectId])
      }
      await until(async () => (await readMetrics(service.adminUrl)).total('spool_callbacks') === 0)
      const rows = await kept()
      for (const [id, objectIds] of accepted) assert.deepEqual(rows.get(id), objectIds)
      for (let round = 0; round < ROUNDS; round += 1) {
        const answers = await rivals(`round ${round}`, [service.url])
        const again = [...answers.values()].filter(({ status }) => status === 202)
        assert.deepEqual(
          again.map(({ id }) => accepted.has(id)),
          [true],
        )
      }
    })
  })

  it('of a clock that is an hour ahead of a database it has not seen is drained as due now', async () => {
    proxy.refuse()
    await service.stop()
    const ahead = await start('a', { NODE_OPTIONS: '--import data:text/javascript,const{now}=Date;Date.now=()=>now()+3600000' })
    const { id } = await accept(ahead.url, [1])
    proxy.forward()
    assert.equal((await finished(ahead.url, id)).state, 'completed')
    const { rows } = await system.db.query('SELECT received_at <= clock_timestamp() AS is_past FROM callbacks')
    assert.deepEqual(rows, [{ is_past: true }])
  })
})
