import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { accept, finished, range } from '../support/callbacks.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/eventually.ts'
import { ServiceProcess } from '../support/service-process.ts'

/** A service that requests this object is killed. */
const DEADLY = 666
/** Time from the request to the kill. By then the service has started and answers. */
const DEATH_AFTER_MS = 300
/** Answer time of the other objects. It is longer, so that innocent callbacks crash too. */
const ANSWER_AFTER_MS = 500
/** Number of crashes. In the last one the callback is alone. */
const CRASHES = 6
/** Number of innocent callbacks that run beside it in the first crash. */
const INNOCENT = 40

describe('a callback that kills its worker', function () {
  this.timeout(60_000)
  let database: TestDatabase
  let clientService: Server
  let service: ServiceProcess
  let deaths = 0

  before(async () => {
    database = await createTestDatabase()
    clientService = createServer((request, response) => {
      const id = Number(request.url?.split('/').at(-1))
      if (id === DEADLY) setTimeout(kill, DEATH_AFTER_MS)
      else
        setTimeout(() => response.setHeader('content-type', 'application/json').end(JSON.stringify({ id, online: true })), ANSWER_AFTER_MS)
    })
    await once(clientService.listen(0, '127.0.0.1'), 'listening')
    service = await start()
  })

  after(async () => {
    await service.stop()
    clientService.close().closeAllConnections()
    await database.drop()
  })

  const kill = (): void => {
    deaths += 1
    service.signal('SIGKILL')
  }
  const start = (): Promise<ServiceProcess> =>
    ServiceProcess.start('callback-service', {
      DATABASE_URL: database.url,
      CLIENT_SERVICE_URL: `http://127.0.0.1:${(clientService.address() as AddressInfo).port}`,
      PROCESS_MAX_CRASHES: `${CRASHES}`,
      PROCESS_PROBATION_MS: '50',
      ZIPKIN_URL: '',
    })

  it('fails when it has killed its worker alone, and all callbacks beside it complete', async () => {
    await service.ready()
    const innocent = await Promise.all(range(1, INNOCENT).map(id => accept(service.url, [id])))
    const deadly = await accept(service.url, [DEADLY])
    // Like a supervisor, the test starts the service again after each crash.
    for (let crash = 1; crash <= CRASHES; crash += 1) {
      await until(() => deaths === crash, 30_000)
      await service.stop('SIGKILL')
      service = await start()
    }
    for (const id of innocent) assert.equal((await finished(service.url, id, 30_000)).state, 'completed')
    const { state, objects } = await finished(service.url, deadly)
    assert.equal(state, 'failed')
    assert.deepEqual(
      objects.map(({ outcome, reason }) => [outcome, reason]),
      [['failed', 'worker_lost']],
    )
    assert.equal(deaths, CRASHES)
  })
})
