import assert from 'node:assert/strict'
import { Settings } from '#foundation/config.ts'
import { createRegistry } from '#foundation/metrics.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { DatabaseClock } from '../adapters/database-clock.ts'
import { schema } from '../config.ts'
import { callbackMetrics } from '../metrics.ts'
import { refreshing } from '../refreshing.ts'
import { putCallback, readCallback } from './adapters/stored-callbacks.ts'
import { logger, openTestStorage, type TestStorage } from './adapters/test-storage.ts'

describe('refreshing', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  after(() => storage.close())

  it('claims nothing while it is held up, and all of it afterwards', async () => {
    const { current } = new Settings(schema, { argv: [], env: { DATABASE_URL: storage.url, PROCESS_POLL_MS: '5' } })
    const held = { isUp: true, looks: 0 }
    const { parts } = refreshing({
      config: () => current,
      metrics: callbackMetrics(createRegistry()),
      database: storage.open(),
      clock: new DatabaseClock(),
      logger,
      isHeldUp: () => {
        held.looks += 1
        return held.isUp
      },
    })
    const id = await putCallback(storage, { objectIds: [] })
    for (const part of parts) await part.start?.()
    await eventually('it looked twice', () => held.looks >= 2)
    assert.equal((await readCallback(storage, id)).state, 'pending')
    held.isUp = false
    await eventually('it is done', async () => (await readCallback(storage, id)).state === 'completed')
    for (const part of parts.toReversed()) await part.stop?.()
  })
})
