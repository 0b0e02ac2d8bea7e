import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { newCallbackId } from '../../services/callback-service/adapters/callback-id.ts'
import { SpoolFile } from '../../services/callback-service/adapters/spool/spool-file.ts'
import { accept, postCallback, range, readMetrics } from '../support/callbacks.ts'
import { createTestDatabase, withClient } from '../support/database.ts'
import { until } from '../support/eventually.ts'
import { PostgresServer } from '../support/postgres-server.ts'
import { ServiceProcess } from '../support/service-process.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

const run = promisify(execFile)
describe('a full disk', function () {
  this.timeout(60_000)
  let folder: string
  let server: PostgresServer | undefined
  let service: ServiceProcess

  /** Starts a service without a client service, so that accepted callbacks are only kept. */
  const start = (settings: Record<string, string>): Promise<ServiceProcess> =>
    ServiceProcess.start('callback-service', { CLIENT_SERVICE_URL: 'http://127.0.0.1:1', ZIPKIN_URL: '', ...settings })

  beforeEach(async function () {
    folder = await mkdtemp(join(tmpdir(), 'answerback-disk-'))
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=256m,mode=755', 'none', folder])
    } catch {
      await rmdir(folder)
      // Only root may mount, and not on every machine.
      this.skip()
    }
  })

  afterEach(async () => {
    await service?.stop()
    // The server deletes the content of the folder. It cannot delete the folder itself, because that is mounted.
    await server?.remove().catch(() => undefined)
    server = undefined
    await run('umount', [folder])
    await rm(folder, { recursive: true })
  })

  const fill = (): Promise<unknown> => run('sh', ['-c', `cat /dev/zero > ${folder}/filler`]).catch(() => undefined)
  const free = (): Promise<void> => rm(join(folder, 'filler'))

  /** Sends large callbacks until one is refused because the disk is full. @returns the ids of the accepted ones */
  async function acceptUntilRefused(): Promise<string[]> {
    const accepted: string[] = []
    const refused = await until(async () => {
      const response = await postCallback(service.url, range(1, 1000))
      if (response.status !== 202) return response
      accepted.push(((await response.json()) as { id: string }).id)
      return undefined
    }, 30_000)
    assert.equal(refused.status, 503)
    assert.equal(((await refused.json()) as { code: string }).code, 'storage_unavailable')
    assert.equal((await fetch(`${service.url}/livez`)).status, 200)
    return accepted
  }

  async function acceptsSoon(): Promise<void> {
    const back = performance.now()
    await until(async () => (await postCallback(service.url, [2])).ok)
    assert.ok(performance.now() - back < 5000, `${performance.now() - back} ms`)
  }

  async function spoolHealth(): Promise<string> {
    const { checks } = (await (await fetch(`${service.url}/readyz`)).json()) as { checks: { spool: { status: string } } }
    return checks.spool.status
  }

  async function areKept(ids: readonly string[]): Promise<void> {
    for (const id of ids) assert.equal((await fetch(`${service.url}/v1/callbacks/${id}`)).status, 200)
  }

  it('of the database is answered with 503, and heals by itself; nothing that was accepted is lost', async () => {
    server = await PostgresServer.start({ folder })
    service = await (await start({ DATABASE_URL: await server.createDatabase('faults') })).ready()
    const accepted = [await accept(service.url, [1])]
    await fill()
    accepted.push(...(await acceptUntilRefused()))
    await free()
    await acceptsSoon()
    await areKept(accepted)
  })

  it('of the spool is answered with 503 while the database is away, and heals by itself; nothing that was accepted is lost', async () => {
    const database = await createTestDatabase()
    const proxy = new TcpProxy(database.url)
    await proxy.start()
    const settings = { DATABASE_URL: proxy.url, SPOOL_PATH: join(folder, 'spool.sqlite') }
    service = await (await start(settings)).ready()
    proxy.refuse()
    // This is more than one batch of the drain. Not all at once: on a busy machine, the last of 600 would wait longer than the service lets them.
    const accepted: string[] = []
    while (accepted.length < 600) accepted.push(...(await Promise.all(range(1, 50).map(id => accept(service.url, [accepted.length + id])))))
    await fill()
    accepted.push(...(await acceptUntilRefused()))
    assert.equal(await spoolHealth(), 'failing')
    await free()
    await acceptsSoon()
    await until(async () => (await spoolHealth()) === 'ok')
    await areKept(accepted)
    await fill()
    accepted.push(...(await acceptUntilRefused()))
    // The callbacks on a full disk are intact. Another process moves them into the database, although it cannot delete them from the spool.
    await service.stop('SIGKILL')
    service = await start(settings)
    proxy.forward()
    await until(() => withClient(database.url, async db => (await db.query('SELECT FROM callbacks')).rowCount === accepted.length + 1))
    assert.equal(await accept(service.url, [3]).then(id => areKept([...accepted, id])), undefined)
    await free()
    await until(async () => (await readMetrics(service.adminUrl)).total('spool_callbacks') === 0)
    await service.stop()
    await proxy.stop()
    await database.drop()
  })

  it('of the spool does not stop the drain: each callback is drained once, and the refused one is set aside', async () => {
    const database = await createTestDatabase()
    const path = join(folder, 'spool.sqlite')
    const file = new SpoolFile({ path, maxBytes: 2 ** 30 })
    const row = { workspace: 'default', idempotency_key: undefined, request_id: undefined, received_ms: Date.now() }
    const rows = range(1, 600).map(i => ({ ...row, id: newCallbackId(), object_ids: i === 100 ? '{9223372036854775808}' : `{${i}}` }))
    file.append(rows)
    file.close()
    await fill()
    service = await (await start({ DATABASE_URL: database.url, SPOOL_PATH: path })).ready()
    const setAside = async () => (await readMetrics(service.adminUrl)).total('spool_set_aside')
    await until(() => withClient(database.url, async db => (await db.query('SELECT FROM callbacks')).rowCount === 599))
    assert.equal(await setAside(), 0)
    await free()
    await until(async () => (await setAside()) === 1)
    const metrics = await readMetrics(service.adminUrl)
    assert.deepEqual([metrics.total('spool_callbacks'), metrics.total('callbacks_drained_total')], [0, 599])
    const refusals = service.log.filter(({ msg }) => msg === 'the database refuses a spooled callback: it stays in the spool, set aside')
    assert.deepEqual(
      refusals.map(line => line['callback_id']),
      [rows[99]?.id],
    )
    await service.stop()
    await database.drop()
  })
})
