import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Settings } from '#foundation/config/settings.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { DatabaseClock } from '../../adapters/postgres/database-clock.ts'
import { schema } from '../../config.ts'
import { callbackMetrics } from '../../metrics.ts'
import { fetching } from '../../wiring/fetching.ts'
import { processing } from '../../wiring/processing.ts'
import { putCallback, readCallback } from '../adapters/postgres/stored-callbacks.ts'
import { logger, openTestStorage, type TestStorage } from '../adapters/postgres/test-storage.ts'

describe('processing', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  after(() => storage.close())

  function setup(env: Record<string, string>, isHeldUp: () => boolean = () => false) {
    const { current } = new Settings(schema, { argv: [], env: { DATABASE_URL: storage.url, ...env } })
    const registry = createRegistry()
    const needs = { metrics: callbackMetrics(registry), database: storage.open(), clock: new DatabaseClock(), logger }
    const { parts } = processing({
      ...needs,
      config: current,
      fetching: fetching({ ...needs, config: () => current }),
      arrived: new Signal(),
      isHeldUp,
    })
    return {
      registry,
      start: async (): Promise<void> => {
        for (const part of parts) await part.start?.()
      },
      stop: async (): Promise<void> => {
        for (const part of parts.toReversed()) await part.stop?.()
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
})
