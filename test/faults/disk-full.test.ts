import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { accept, postCallback, range } from '../support/callbacks.ts'
import { until } from '../support/eventually.ts'
import { PostgresServer } from '../support/postgres-server.ts'
import { ServiceProcess } from '../support/service-process.ts'

const run = promisify(execFile)
const SIZE_MIB = 256

describe('a full disk', function () {
  this.timeout(60_000)
  let folder: string
  let server: PostgresServer
  let service: ServiceProcess

  before(async function () {
    folder = await mkdtemp(join(tmpdir(), 'answerback-disk-'))
    try {
      await run('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MIB}m,mode=755`, 'none', folder])
    } catch {
      await rmdir(folder)
      // Only root may mount, and not everywhere.
      this.skip()
    }
    server = await PostgresServer.start({ folder })
    service = await ServiceProcess.start('callback-service', {
      DATABASE_URL: await server.createDatabase('faults'),
      CLIENT_SERVICE_URL: 'http://127.0.0.1:1',
      ZIPKIN_URL: '',
    })
    await service.ready()
  })

  after(async () => {
    await service?.stop()
    if (!server) return
    // The server deletes what is in the folder, but not a folder that is mounted.
    await server.remove().catch(() => undefined)
    await run('umount', [folder])
    await rm(folder, { recursive: true })
  })

  it('is answered with 503 while it is full, and heals by itself; nothing that was accepted is lost', async () => {
    const filler = join(folder, 'filler')
    const accepted = [await accept(service.url, [1])]
    await run('sh', ['-c', `cat /dev/zero > ${filler}`]).catch(() => undefined)
    const refused = await until(async () => {
      const response = await postCallback(service.url, range(1, 1000))
      if (response.status !== 202) return response
      accepted.push(((await response.json()) as { id: string }).id)
      return undefined
    }, 30_000)
    assert.equal(refused.status, 503)
    assert.equal(((await refused.json()) as { code: string }).code, 'storage_unavailable')
    assert.equal((await fetch(`${service.url}/livez`)).status, 200)

    await rm(filler)
    const back = performance.now()
    await until(async () => (await postCallback(service.url, [2])).ok)
    assert.ok(performance.now() - back < 5000, `${performance.now() - back} ms`)
    for (const id of accepted) assert.equal((await fetch(`${service.url}/v1/callbacks/${id}`)).status, 200)
  })
})
