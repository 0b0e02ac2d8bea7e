import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { Settings } from '#foundation/config/settings.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { onlyDefault } from '../../../../test/support/only-default.ts'
import { DatabaseClock } from '../../adapters/postgres/database-clock.ts'
import { schema } from '../../config.ts'
import type { Workspace } from '../../domain/workspaces/workspace.ts'
import { callbackMetrics } from '../../metrics.ts'
import { fetching, type Workspaces } from '../../wiring/fetching.ts'
import { processing } from '../../wiring/processing.ts'
import { recording } from '../../wiring/recording.ts'
import { putCallback, readCallback } from '../adapters/postgres/stored-callbacks.ts'
import { logger, openTestStorage, type TestStorage } from '../adapters/postgres/test-storage.ts'

describe('processing', () => {
  let storage: TestStorage
  /** The parts that run, in the order in which they were started. */
  const running: Part[] = []

  before(async () => {
    storage = await openTestStorage()
  })

  afterEach(async () => {
    for (const part of running.splice(0).toReversed()) await part.stop?.()
  })

  after(() => storage.close())

  function setup(
    env: Record<string, string>,
    isHeldUp: () => boolean = () => false,
    workspaces: Workspaces = onlyDefault,
    log = logger,
    hasAgent: (workspace: string) => boolean = () => false,
  ) {
    const { current } = new Settings(schema, { argv: [], env: { DATABASE_URL: storage.url, ...env } })
    const registry = createRegistry()
    const needs = {
      metrics: callbackMetrics(registry),
      database: storage.open(),
      clock: new DatabaseClock(),
      workspaces,
      logger: log,
    }
    const {
      parts,
      replicas,
      isHeldUp: isHeldUpFor,
    } = processing({
      ...needs,
      config: current,
      fetching: fetching({ ...needs, config: () => current, recording: recording(new Signal()) }),
      arrived: new Signal(),
      events: new Signal(),
      isHeldUp,
      hasAgent,
    })
    return {
      registry,
      replicas,
      isHeldUpFor,
      start: async (): Promise<void> => {
        for (const part of parts) {
          running.push(part)
          await part.start?.()
        }
      },
      stop: async (): Promise<void> => {
        for (const part of running.splice(0).toReversed()) await part.stop?.()
      },
    }
  }

  it('claims nothing while it is held up, and all of it afterwards', async () => {
    const held = { isUp: true, looks: 0 }
    const { start, stop } = setup({ PROCESS_POLL_MS: '5' }, () => {
      held.looks += 1
      return held.isUp
    })
    const id = await putCallback(storage, { objectIds: [] })
    await start()
    await eventually('it looked twice', () => held.looks >= 2)
    assert.equal((await readCallback(storage, id)).state, 'pending')
    held.isUp = false
    await eventually('it is done', async () => (await readCallback(storage, id)).state === 'completed')
    await stop()
  })

  it('ends requests when it stops, and does not blame the client service', async () => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { registry, start, stop } = setup({ CLIENT_SERVICE_URL: `http://127.0.0.1:${(silent.address() as AddressInfo).port}` })
    const id = await putCallback(storage, { objectIds: [1n] })
    await start()
    await once(silent, 'request')
    await stop()
    silent.close()
    const { state, attempts, unstored } = await readCallback(storage, id)
    assert.deepEqual([state, attempts, unstored], ['pending', 0, [{ id: '1', outcome: 'pending', reason: 'interrupted' }]])
    assert.doesNotMatch(await registry.metrics(), /result="connection"/)
  })

  it('counts itself and the others as replicas that live, also while it has no session', async () => {
    const env = { CLAIMS_TAKE_OVER_MS: '5' }
    const [other, own] = [setup(env), setup({ ...env, DATABASE_SESSION_URL: 'postgresql://127.0.0.1:1/none' })]
    await own.start()
    assert.equal(own.replicas(), 1)
    await other.start()
    await eventually('it counts both', () => own.replicas() === 2)
    assert.equal(other.replicas(), 1)
    await own.stop()
  })

  describe('with several workspaces', () => {
    const workspaces = new Map<string, Workspace>()
    const known: Workspaces = {
      find: name => workspaces.get(name),
      get all() {
        return [...workspaces.values()]
      },
    }
    const add = (name: string, changes: Partial<Workspace> = {}) =>
      workspaces.set(name, { ...(onlyDefault.all[0] as Workspace), name, ...changes })

    beforeEach(async () => {
      workspaces.clear()
      await storage.query('TRUNCATE callbacks, objects')
    })

    it('processes the next callback of a workspace while the client service of another hangs under its backlog', async () => {
      const silent = createServer().listen(0, '127.0.0.1')
      const quick = createServer((request, response) => {
        response.setHeader('content-type', 'application/json').end(`{"id":${request.url?.split('/').at(-1)},"online":true}`)
      }).listen(0, '127.0.0.1')
      await Promise.all([once(silent, 'listening'), once(quick, 'listening')])
      const urlOf = (server: typeof silent): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      add('hog', { clientServiceUrl: urlOf(silent) })
      add('shop', { clientServiceUrl: urlOf(quick) })
      await storage.query(
        `INSERT INTO callbacks (id, workspace, object_ids, due_at)
         SELECT gen_random_uuid(), 'hog', ARRAY[i], now() - interval '1 minute' FROM generate_series(1, 5000) i`,
      )
      let hanging = 0
      silent.on('request', () => {
        hanging += 1
      })
      const { start, stop } = setup({ FETCH_CONCURRENCY: '50', PROCESS_MAX_RUNNING: '200', PROCESS_POLL_MS: '20' }, undefined, known)
      await start()
      await eventually('the hog has all slots', () => hanging === 50)
      const id = await putCallback(storage, { workspace: 'shop', objectIds: [1n] })
      const sentMs = performance.now()
      await eventually('the other is done', async () => (await readCallback(storage, id)).state === 'completed')
      const tookMs = performance.now() - sentMs
      await stop()
      for (const server of [silent, quick]) server.close().closeAllConnections()
      // The requests of the hog time out after 6 s.
      assert.ok(tookMs < 2000, `took ${tookMs} ms`)
      assert.equal(hanging, 50)
    })

    it('claims nothing of a paused workspace, and all of it afterwards', async () => {
      add('shop', { isPaused: true })
      add('bank')
      const [paused, other] = [
        await putCallback(storage, { workspace: 'shop', objectIds: [] }),
        await putCallback(storage, { workspace: 'bank', objectIds: [] }),
      ]
      const { start, stop } = setup({ PROCESS_POLL_MS: '5' }, undefined, known)
      await start()
      await eventually('the other is done', async () => (await readCallback(storage, other)).state === 'completed')
      assert.equal((await readCallback(storage, paused)).state, 'pending')
      add('shop')
      await eventually('it is done', async () => (await readCallback(storage, paused)).state === 'completed')
      await stop()
    })

    it('says that callbacks wait for a workspace that does not exist, and processes them when somebody has created it', async () => {
      const id = await putCallback(storage, { workspace: 'gone', objectIds: [] })
      const lines: { msg: string; workspace?: string }[] = []
      const log = pino({}, { write: line => lines.push(JSON.parse(line)) })
      const { start, stop } = setup({ PROCESS_POLL_MS: '20' }, undefined, known, log)
      await start()
      await eventually('it says so', () =>
        lines.some(({ msg, workspace }) => /workspace that does not exist$/.test(msg) && workspace === 'gone'),
      )
      assert.equal((await readCallback(storage, id)).state, 'pending')
      add('gone')
      await eventually('it is done', async () => (await readCallback(storage, id)).state === 'completed')
      await eventually('the trouble is over', () => lines.some(({ msg }) => /any more$/.test(msg)))
      await stop()
    })

    it('claims a suspect of a paused workspace only after the pause, and lets it hold up nobody', async () => {
      add('shop', { isPaused: true })
      add('bank')
      const suspect = await putCallback(storage, { workspace: 'shop', objectIds: [] })
      await storage.query('UPDATE callbacks SET crashes = 3, attempts = 3')
      const { start, stop } = setup({ PROCESS_POLL_MS: '5', PROCESS_PROBATION_MS: '1', CLAIMS_TAKE_OVER_MS: '5' }, undefined, known)
      await start()
      const other = await putCallback(storage, { workspace: 'bank', objectIds: [] })
      await eventually('the other is done', async () => (await readCallback(storage, other)).state === 'completed')
      assert.equal((await readCallback(storage, suspect)).state, 'pending')
      add('shop')
      await eventually('the suspect is done', async () => (await readCallback(storage, suspect)).state === 'completed')
      await stop()
    })

    it('leaves the callbacks of a workspace to its agents, also suspects, and is not held up by them', async () => {
      add('plant', { fetcher: 'agents' })
      add('bank')
      const [leased, suspect] = [
        await putCallback(storage, { workspace: 'plant', objectIds: [] }),
        await putCallback(storage, { workspace: 'plant', objectIds: [] }),
      ]
      await storage.query('UPDATE callbacks SET crashes = 3, attempts = 3 WHERE id = $1', [suspect])
      const { start, stop } = setup({ PROCESS_POLL_MS: '5', PROCESS_PROBATION_MS: '1', CLAIMS_TAKE_OVER_MS: '5' }, undefined, known)
      await start()
      const other = await putCallback(storage, { workspace: 'bank', objectIds: [] })
      await eventually('the other is done', async () => (await readCallback(storage, other)).state === 'completed')
      assert.deepEqual([(await readCallback(storage, leased)).state, (await readCallback(storage, suspect)).state], ['pending', 'pending'])
      // From now on the service fetches for it.
      add('plant')
      await eventually('the first is done', async () => (await readCallback(storage, leased)).state === 'completed')
      await eventually('the suspect is done', async () => (await readCallback(storage, suspect)).state === 'completed')
      await stop()
    })

    it('says that a workspace is held up while none of its agents is alive, whether this process works or not', () => {
      add('plant', { fetcher: 'agents' })
      const alive = new Set<string>()
      const { isHeldUpFor } = setup({}, undefined, known, undefined, name => alive.has(name))
      assert.equal(isHeldUpFor('plant'), true)
      alive.add('plant')
      assert.equal(isHeldUpFor('plant'), false)
      add('plant', { fetcher: 'agents', isPaused: true })
      assert.equal(isHeldUpFor('plant'), true)
    })

    it('leaves the callbacks of a workspace alone that it does not know yet', async () => {
      add('bank')
      const [unknown, other] = [
        await putCallback(storage, { workspace: 'shop', objectIds: [] }),
        await putCallback(storage, { workspace: 'bank', objectIds: [] }),
      ]
      const { start, stop } = setup({ PROCESS_POLL_MS: '5' }, undefined, known)
      await start()
      await eventually('the other is done', async () => (await readCallback(storage, other)).state === 'completed')
      const { state, attempts } = await readCallback(storage, unknown)
      await stop()
      assert.deepEqual([state, attempts], ['pending', 0])
    })

    it('gives a suspect back, uncharged, whose workspace it does not know yet', async () => {
      add('bank')
      const id = await putCallback(storage, { workspace: 'shop', objectIds: [1n] })
      await storage.query('UPDATE callbacks SET crashes = 3, attempts = 3')
      const { start, stop } = setup({ PROCESS_POLL_MS: '5', PROCESS_PROBATION_MS: '1', CLAIMS_TAKE_OVER_MS: '5' }, undefined, known)
      await start()
      await eventually('it was tried', async () => (await readCallback(storage, id)).unstored !== null)
      await stop()
      const { state, attempts, unstored } = await readCallback(storage, id)
      assert.deepEqual([state, attempts, unstored], ['pending', 3, [{ id: '1', outcome: 'pending', reason: 'workspace_unknown' }]])
    })
  })
})
