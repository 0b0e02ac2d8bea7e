import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Settings } from '#foundation/config/settings.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { onlyDefault } from '../../../../test/support/only-default.ts'
import { DatabaseClock } from '../../adapters/postgres/database-clock.ts'
import { schema } from '../../config.ts'
import type { CallbackView } from '../../domain/callback.ts'
import type { CallbackEvent } from '../../domain/callback-event.ts'
import { callbackMetrics } from '../../metrics.ts'
import { fetching } from '../../wiring/fetching.ts'
import { processing } from '../../wiring/processing.ts'
import { recording } from '../../wiring/recording.ts'
import { steering } from '../../wiring/steering.ts'
import { putCallback, readCallback } from '../adapters/postgres/stored-callbacks.ts'
import { logger, openTestStorage, type TestStorage } from '../adapters/postgres/test-storage.ts'

const never = new AbortController().signal

describe('steering a callback that a worker has', () => {
  let storage: TestStorage
  let clientService: Server
  let parts: readonly Part[]
  let steer: ReturnType<typeof steering>
  const requested: string[] = []
  const events: CallbackEvent[] = []
  let spooled: CallbackView | undefined
  let isAnswering = false
  const turns: string[] = []

  before(async () => {
    storage = await openTestStorage()
    clientService = createServer((request, response) => {
      const id = Number(request.url?.split('/').at(-1))
      requested.push(String(id))
      if (isAnswering) response.setHeader('content-type', 'application/json').end(JSON.stringify({ id, online: true }))
    })
    await once(clientService.listen(0, '127.0.0.1'), 'listening')
    const { current } = new Settings(schema, {
      argv: [],
      env: {
        DATABASE_URL: storage.url,
        CLIENT_SERVICE_URL: `http://127.0.0.1:${(clientService.address() as AddressInfo).port}`,
        FETCH_CONCURRENCY: '2',
        PROCESS_POLL_MS: '20',
      },
    })
    const [arrived, happened] = [new Signal<string>(), new Signal<CallbackEvent>()]
    happened.on(event => events.push(event))
    const database = storage.open()
    const needs = { metrics: callbackMetrics(createRegistry()), database, clock: new DatabaseClock(), workspaces: onlyDefault, logger }
    const wired = { ...needs, arrived, events: happened }
    ;({ parts } = processing({
      ...wired,
      config: current,
      fetching: fetching({ ...needs, config: () => current, recording: recording(new Signal()) }),
      isHeldUp: () => false,
      hasAgent: () => false,
    }))
    steer = steering({
      ...wired,
      read: database,
      inbox: { find: async () => spooled },
      limited: read => read(),
      inTurn,
      waitingInTurn: inTurn,
    })
    for (const part of parts) await part.start?.()
  })

  beforeEach(() => {
    requested.length = 0
    events.length = 0
    isAnswering = false
    spooled = undefined
    turns.length = 0
  })

  async function inTurn<T>(workspace: string, change: () => Promise<T>): Promise<T> {
    turns.push(workspace)
    return change()
  }

  after(async () => {
    for (const part of parts.toReversed()) await part.stop?.()
    clientService.close().closeAllConnections()
    await storage.close()
  })

  async function running(): Promise<{ workspace: string; id: string }> {
    const id = await putCallback(storage, { objectIds: [1n, 2n, 3n, 4n, 5n] })
    await eventually('its first requests have left', () => requested.length === 2)
    return { workspace: 'default', id }
  }

  it('cancels it when the worker has given it back, uncharged, and begins no further request for it', async () => {
    const key = await running()
    assert.equal(await steer.cancel(key, { waitMs: 5000, signal: never }), 'cancelled')
    const row = await readCallback(storage, key.id)
    assert.deepEqual([row.state, row.attempts, row.is_finished], ['cancelled', 0, true])
    const settled = events.find(({ event }) => event === 'settled')
    assert.ok(settled?.event === 'settled' && settled.state === 'cancelled', 'the event says what the row got')
    const told = (await steer.timeline(key))?.entries.map(({ event, state }) => [event, state])
    assert.deepEqual(told, [
      ['cancel_requested', undefined],
      ['given_back', 'cancelled'],
    ])
    assert.equal(requested.length, 2)
    clientService.closeAllConnections()
  })

  it('leaves it alone when nobody waits any more', async () => {
    const key = await running()
    const gone = new AbortController()
    gone.abort()
    assert.equal(await steer.cancel(key, { waitMs: 5000, signal: gone.signal }), 'running')
    assert.equal(await steer.cancel(key, { waitMs: 0, signal: never }), 'running')
    assert.equal((await readCallback(storage, key.id)).state, 'running')
    assert.equal(await steer.cancel(key, { waitMs: 5000, signal: never }), 'cancelled')
    clientService.closeAllConnections()
  })

  it('sends it one more round at once', async () => {
    isAnswering = true
    const id = await putCallback(storage)
    const isCompleted = async (): Promise<boolean> => (await readCallback(storage, id)).state === 'completed'
    await eventually('it is completed', isCompleted)
    requested.length = 0
    const { found, callback } = await steer.retry({ workspace: 'default', id }, 'all')
    assert.equal(found, 'completed')
    assert.ok(callback)
    await eventually('it is completed again', async () => requested.length === 2 && (await isCompleted()))
  })

  it('changes nothing of a callback in the spool', async () => {
    const key = { workspace: 'default', id: await putCallback(storage, { dueInMs: 3_600_000 }) }
    spooled = { id: key.id } as CallbackView
    assert.deepEqual(
      [
        (await steer.change(key, { activated: false })).found,
        (await steer.retry(key, 'all')).found,
        await steer.cancel(key, { waitMs: 0, signal: never }),
      ],
      ['spooled', 'spooled', 'spooled'],
    )
    assert.equal((await readCallback(storage, key.id)).state, 'pending')
  })

  it('takes its turn for each change, so that workers need not wait for a connection', async () => {
    const key = { workspace: 'default', id: await putCallback(storage, { dueInMs: 3_600_000 }) }
    await steer.change(key, { priority: 1 })
    await steer.retry(key, 'all')
    await steer.cancel(key, { waitMs: 0, signal: never })
    assert.deepEqual(turns, ['default', 'default', 'default'])
  })

  it('flushes what waits', async () => {
    const id = await putCallback(storage, { dueInMs: 3_600_000 })
    assert.equal(await steer.flush('default', ['pending', 'paused']), true)
    assert.equal((await readCallback(storage, id)).state, 'cancelled')
  })
})
