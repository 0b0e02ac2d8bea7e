import assert from 'node:assert/strict'
import { pino } from 'pino'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { CallbackClient } from '../../adapters/callback-client.ts'
import { CallbackEmitter, type EmitterPolicy } from '../../workers/callback-emitter.ts'
import { CallbackReceiver, type Received } from '../callback-receiver.ts'

const HOUR_MS = 3_600_000

describe('CallbackEmitter', () => {
  const logger = pino({ level: 'silent' })
  let receiver: CallbackReceiver
  let client: CallbackClient
  let emitter: CallbackEmitter
  let policy: EmitterPolicy
  let outcomes: string[]
  let retries: number

  before(() => new Telemetry({ serviceName: 'test', zipkinUrl: '', sampleRatio: 1, logger }).start())

  beforeEach(async () => {
    receiver = new CallbackReceiver()
    await receiver.start()
    client = new CallbackClient({ url: receiver.url, key: '', secret: '', timeoutMs: () => 2000 })
    policy = { enabled: true, intervalMs: HOUR_MS, maxIds: 200, objectCount: 100, maxOutstanding: 10, retryBaseMs: 1, retryMaxMs: 5 }
    outcomes = []
    retries = 0
    emitter = new CallbackEmitter({
      receiver: client,
      policy: () => policy,
      random: Math.random,
      onEmitted: outcome => outcomes.push(outcome),
      onRetry: () => {
        retries += 1
      },
      logger,
    })
  })

  afterEach(async () => {
    await emitter.stop()
    await client.stop()
    await receiver.stop()
  })

  it('sends a callback at once and then one every interval', async () => {
    policy = { ...policy, intervalMs: 20 }
    emitter.start()
    await eventually('three are taken', () => outcomes.length >= 3)
    assert.equal(new Set(receiver.received.map(keyOf)).size, receiver.received.length)
    for (const { body } of receiver.received) {
      const { object_ids: ids } = JSON.parse(body) as { object_ids: number[] }
      assert.ok(ids.length <= 200 && ids.every(id => id >= 1 && id <= 100))
    }
  })

  it('sends a callback that got 503 again, with the same key and body, until it is taken', async () => {
    receiver.answer = (response, count) => response.writeHead(count < 3 ? 503 : 202).end()
    emitter.start()
    await eventually('it is taken', () => outcomes.length === 1)
    assert.deepEqual(outcomes, ['taken'])
    assert.equal(retries, 2)
    assert.equal(receiver.received.length, 3)
    assert.equal(new Set(receiver.received.map(keyOf)).size, 1)
    assert.equal(new Set(receiver.received.map(request => request.body)).size, 1)
  })

  it('sends a callback without an answer again', async () => {
    receiver.answer = (response, count) => (count === 1 ? response.socket?.resetAndDestroy() : response.writeHead(202).end())
    emitter.start()
    await eventually('it is taken', () => outcomes.length === 1)
    assert.equal(receiver.received.length, 2)
    assert.equal(new Set(receiver.received.map(keyOf)).size, 1)
  })

  it('treats a 4xx as final', async () => {
    receiver.answer = response => response.writeHead(422).end()
    emitter.start()
    await eventually('it is refused', () => outcomes.length === 1)
    assert.deepEqual(outcomes, ['refused'])
    assert.equal(receiver.received.length, 1)
  })

  it('continues with newer callbacks while one is not taken', async () => {
    policy = { ...policy, intervalMs: 10 }
    let stuck: string | undefined
    receiver.answer = response => {
      const key = response.req.headers['idempotency-key'] as string
      stuck ??= key
      response.writeHead(key === stuck ? 503 : 202).end()
    }
    emitter.start()
    await eventually('three newer ones are taken', () => outcomes.length >= 3)
    assert.ok(emitter.outstanding >= 1)
    assert.ok(outcomes.every(outcome => outcome === 'taken'))
  })

  it('creates no new callbacks while maxOutstanding are not taken', async () => {
    policy = { ...policy, intervalMs: 5, maxOutstanding: 2 }
    receiver.answer = () => undefined
    emitter.start()
    await eventually('some are skipped', () => outcomes.filter(outcome => outcome === 'skipped').length >= 3)
    assert.equal(emitter.outstanding, 2)
    assert.equal(receiver.received.length, 2)
  })

  it('begins a new trace for each callback, and stays in it for each retry', async () => {
    policy = { ...policy, intervalMs: 10 }
    receiver.answer = (response, count) => response.writeHead(count === 1 ? 503 : 202).end()
    emitter.start()
    await eventually('two are taken', () => outcomes.length >= 2)
    const traces = Map.groupBy(receiver.received, keyOf)
    const parents = [...traces.values()].map(tries => tries.map(({ headers }) => String(headers['traceparent']).split('-')))
    for (const tries of parents) assert.equal(new Set(tries.map(([, traceId]) => traceId)).size, 1)
    assert.equal(new Set(parents.map(([first]) => first?.[1])).size, traces.size)
    const all = parents.flat()
    assert.equal(new Set(all.map(([, , spanId]) => spanId)).size, all.length)
  })

  it('rests while it is switched off, and goes on when it is switched on', async () => {
    policy = { ...policy, enabled: false }
    emitter.start()
    policy = { ...policy, enabled: true }
    emitter.wake()
    await eventually('one is taken', () => outcomes.length === 1)
    emitter.wake()
    emitter.wake()
    await eventually('nothing is under way', () => emitter.outstanding === 0)
    assert.equal(receiver.received.length, 1)
  })

  it('stops without waiting for an answer or a rest', async () => {
    policy = { ...policy, intervalMs: 5, retryBaseMs: HOUR_MS, retryMaxMs: HOUR_MS }
    receiver.answer = (response, count) => (count === 1 ? response.writeHead(503, { 'retry-after': '3600' }).end() : undefined)
    emitter.start()
    await eventually('one rests and one waits', () => receiver.received.length >= 2)
    await emitter.stop()
    assert.equal(emitter.outstanding, 0)
    assert.ok(outcomes.length >= 2 && outcomes.every(outcome => outcome === 'abandoned'))
  })
})

function keyOf({ headers }: Received): string {
  return String(headers['idempotency-key'])
}
