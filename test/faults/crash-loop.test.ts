import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { accept, finished, range } from '../support/callbacks.ts'
import { type System, startSystem } from '../support/system.ts'

const LIVES = 14
const LIFE_MS = 1200
const CALLBACKS = 40

describe('a crash loop that no callback is guilty of', function () {
  this.timeout(120_000)
  let system: System

  before(async () => {
    // No callback can be finished within a life.
    system = await startSystem({
      client: { LATENCY_MIN_MS: '3000', LATENCY_MAX_MS: '3000' },
      // More than a life, on a slow machine too.
      callback: { PROCESS_PROBATION_MS: '10000' },
    })
  })

  after(() => system.stop())

  it('fails none of the callbacks that ran in it', async () => {
    const ids = await Promise.all(range(0, CALLBACKS).map(i => accept(system.callbackUrl, [i])))
    let service = system.callbackService
    for (let life = 0; life < LIVES; life += 1) {
      await sleep(LIFE_MS)
      await service.stop('SIGKILL')
      service = await system.startCallbackService()
    }
    const callbacks = await Promise.all(ids.map(id => finished(service.url, id, 60_000)))
    assert.deepEqual(new Set(callbacks.map(({ state }) => state)), new Set(['completed']))
  })
})
