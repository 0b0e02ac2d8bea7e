import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Settings } from '#foundation/config/settings.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { onlyDefault } from '../../../../test/support/only-default.ts'
import { DatabaseClock } from '../../adapters/postgres/database-clock.ts'
import { schema } from '../../config.ts'
import type { Workspace } from '../../domain/workspaces/workspace.ts'
import { callbackMetrics } from '../../metrics.ts'
import { type Fetching, fetching } from '../../wiring/fetching.ts'
import { recording } from '../../wiring/recording.ts'
import { logger, openTestStorage, type TestStorage } from '../adapters/postgres/test-storage.ts'

const DEFAULT = onlyDefault.all[0] as Workspace

describe('fetching', () => {
  let storage: TestStorage
  const servers: Server[] = []
  const joined: Fetching[] = []

  before(async () => {
    storage = await openTestStorage()
  })

  afterEach(async () => {
    for (const one of joined.splice(0)) await one.interrupt()
    for (const server of servers.splice(0)) server.close().closeAllConnections()
  })

  after(() => storage.close())

  /** Starts a client service. @returns its URL, and the ids that it was asked for */
  async function clientService(answer: () => Promise<void> = async () => {}): Promise<{ url: string; asked: string[] }> {
    const asked: string[] = []
    const server = createServer((request, response) => {
      const id = String(request.url).split('/').at(-1) as string
      asked.push(id)
      void answer().then(() => response.setHeader('content-type', 'application/json').end(`{"id":${id},"online":true}`))
    }).listen(0, '127.0.0.1')
    servers.push(server)
    await once(server, 'listening')
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
  }

  function setup(url: string, ...workspaces: Partial<Workspace>[]) {
    const { current } = new Settings(schema, { argv: [], env: { DATABASE_URL: storage.url, CLIENT_SERVICE_URL: url } })
    const known = new Map(workspaces.map(changes => [changes.name as string, { ...DEFAULT, ...changes }]))
    const join = fetching({
      config: () => current,
      metrics: callbackMetrics(createRegistry()),
      database: storage.open(),
      clock: new DatabaseClock(),
      workspaces: {
        find: name => (name === 'default' ? DEFAULT : known.get(name)),
        get all() {
          return [DEFAULT, ...known.values()]
        },
      },
      recording: recording(new Signal()),
      logger,
    })
    joined.push(join)
    const fetch = (workspace: string, id: bigint) =>
      join.of(workspace)?.sharedFetches.fetch(id, { id: crypto.randomUUID(), attempt: 1, freshFromMs: 0, receivedAtMs: 0 })
    return { join, known, fetch }
  }

  it('asks the client service of each workspace, and the one of the settings where a workspace has none', async () => {
    const [general, own] = [await clientService(), await clientService()]
    const { fetch } = setup(general.url, { name: 'shop', clientServiceUrl: own.url }, { name: 'bank' })
    await fetch('default', 1n)
    await fetch('shop', 2n)
    await fetch('bank', 3n)
    assert.deepEqual([general.asked, own.asked], [['1', '3'], ['2']])
  })

  it('knows no client service of a workspace that is unknown', () => {
    assert.equal(setup('http://127.0.0.1:1').join.of('shop'), undefined)
  })

  it('makes no new one while the settings of the workspace stay the same', () => {
    const { join } = setup('http://127.0.0.1:1', { name: 'shop' })
    assert.equal(join.of('shop'), join.of('shop'))
    assert.notEqual(join.of('shop'), join.of('default'))
  })

  it('shares a breaker between workspaces with one client service, and only these', () => {
    const { join } = setup('http://127.0.0.1:1', { name: 'shop' }, { name: 'bank', clientServiceUrl: 'http://127.0.0.1:2' })
    assert.equal(join.of('shop')?.breaker, join.of('default')?.breaker)
    assert.notEqual(join.of('shop')?.breaker, join.of('bank')?.breaker)
  })

  it('shares no fetch between workspaces', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { url, asked } = await clientService(() => promise)
    const { fetch } = setup(url, { name: 'shop' })
    const outcomes = [fetch('default', 7n), fetch('shop', 7n)]
    await eventually('both ask', () => asked.length === 2)
    resolve()
    await Promise.all(outcomes)
  })

  it('keeps offline objects as the workspace says, also after that changed', async () => {
    const offline = createServer((_, response) => response.setHeader('content-type', 'application/json').end('{"id":1,"online":false}'))
    servers.push(offline.listen(0, '127.0.0.1'))
    await once(offline, 'listening')
    const { known, fetch } = setup(`http://127.0.0.1:${(offline.address() as AddressInfo).port}`, { name: 'shop', keepOffline: false })
    assert.equal((await fetch('shop', 1n))?.kind, 'offline')
    assert.equal((await fetch('default', 1n))?.kind, 'stored')
    known.set('shop', { ...DEFAULT, name: 'shop', keepOffline: true })
    assert.equal((await fetch('shop', 1n))?.kind, 'stored')
  })

  it('asks the new client service after a change, and lets requests to the old one end', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const [old, next] = [await clientService(() => promise), await clientService()]
    const { known, fetch } = setup('http://127.0.0.1:1', { name: 'shop', clientServiceUrl: old.url })
    const first = fetch('shop', 1n)
    await eventually('the old one is asked', () => old.asked.length === 1)
    known.set('shop', { ...DEFAULT, name: 'shop', clientServiceUrl: next.url })
    assert.equal((await fetch('shop', 2n))?.kind, 'stored')
    resolve()
    assert.equal((await first)?.kind, 'stored')
    assert.deepEqual([old.asked, next.asked], [['1'], ['2']])
  })

  it('ends requests to a client service that no workspace uses any more when it is interrupted', async () => {
    const old = await clientService(() => new Promise(() => undefined))
    const { join, known, fetch } = setup('http://127.0.0.1:1', { name: 'shop', clientServiceUrl: old.url })
    const first = fetch('shop', 1n)
    await eventually('it is asked', () => old.asked.length === 1)
    known.set('shop', { ...DEFAULT, name: 'shop', clientServiceUrl: 'http://127.0.0.1:2' })
    join.of('shop')
    await join.interrupt()
    assert.deepEqual(await first, { kind: 'pending', reason: 'interrupted', isCharged: false })
  })
})
