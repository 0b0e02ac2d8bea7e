import assert from 'node:assert/strict'
import { context, contextFromCarrier, inSpan, type Span } from '#foundation/telemetry/spans.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { ZipkinCollector, type ZipkinSpan } from '../../../../../test/support/zipkin-collector.ts'
import type { ObjectStore } from '../../../adapters/postgres/object-store.ts'
import { ASKER, backdate, newStore } from './new-store.ts'
import { logger, openTestStorage, type TestStorage } from './test-storage.ts'

describe('the spans of the object store', () => {
  let storage: TestStorage
  let collector: ZipkinCollector
  let telemetry: Telemetry
  let store: ObjectStore
  let statements: number[]

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    await storage.query('TRUNCATE objects')
    ;({ store, statements } = newStore(storage.open()))
    collector = new ZipkinCollector()
    await collector.start()
    telemetry = new Telemetry({ serviceName: 'test', zipkinUrl: collector.url, sampleRatio: 1, logger })
    telemetry.start()
    await telemetry.sending.start()
  })

  afterEach(async () => {
    await telemetry.stop()
    await collector.stop()
  })

  after(() => storage.close())

  /** Stores objects. @returns the span in which they were stored */
  function put(...ids: bigint[]): Promise<Span> {
    return inSpan('process callback', {}, async span => {
      await Promise.all(ids.map(id => store.upsert({ id, online: true, leftAtMs: 0, fetchedAtMs: 1000 }, ASKER)))
      return span
    })
  }

  /** Stops the telemetry. @returns the spans of that name that were sent */
  async function sent(name: string): Promise<ZipkinSpan[]> {
    await telemetry.stop()
    return collector.spans.filter(span => span.name === name)
  }

  it('are one for each trace and statement, with its attributes', async () => {
    const parents = await Promise.all([put(1n, 2n, 3n), put(4n)])
    assert.deepEqual(statements, [4])
    const spans = await sent('store objects')
    const byParent = new Map(spans.map(span => [span.parentId, span]))
    assert.equal(spans.length, 2)
    for (const [i, count] of [3, 1].entries()) {
      const { traceId, spanId } = (parents[i] as Span).spanContext()
      const span = byParent.get(spanId)
      assert.equal(span?.traceId, traceId)
      assert.deepEqual(span?.tags, {
        'db.system.name': 'postgresql',
        'db.operation.name': 'INSERT',
        'db.collection.name': 'objects',
        'answerback.object.count': String(count),
        'service.name': 'test',
      })
    }
  })

  it('are the parents of the deletion spans, one for each trace and statement', async () => {
    const first = await put(1n, 2n)
    const second = await put(3n)
    await backdate(storage, 30_100)
    await store.deleteExpired(100)
    const expired = await sent('expire objects')
    const stored = collector.spans.filter(({ name }) => name === 'store objects')
    assert.equal(expired.length, 2)
    for (const [parent, count] of [
      [first, 2],
      [second, 1],
    ] as const) {
      const { traceId } = parent.spanContext()
      const span = expired.find(each => each.traceId === traceId)
      assert.equal(span?.parentId, stored.find(each => each.traceId === traceId)?.id)
      assert.equal(span?.tags['answerback.object.count'], String(count))
      const latenessMs = Number(span?.tags['answerback.expiry.lateness_ms'])
      assert.ok(latenessMs >= 100 && latenessMs < 5000, `${latenessMs} ms late`)
    }
  })

  it('say how late the latest of the objects was deleted', async () => {
    await put(1n, 2n)
    await backdate(storage, 30_100, [1n])
    await backdate(storage, 35_000, [2n])
    const lateMs = (await store.deleteExpired(100)).latenessMs
    const [span] = await sent('expire objects')
    assert.equal(Number(span?.tags['answerback.expiry.lateness_ms']), Math.max(...lateMs))
  })

  it('hang the deletion on the statement that stored an object last', async () => {
    await put(1n)
    const last = await put(1n)
    await backdate(storage, 30_000)
    await store.deleteExpired(100)
    const expired = await sent('expire objects')
    assert.deepEqual(
      expired.map(({ traceId }) => traceId),
      [last.spanContext().traceId],
    )
  })

  it('say that their statement failed', async () => {
    await inSpan('process callback', {}, () =>
      store.upsert({ id: 1n, online: true, leftAtMs: 0, fetchedAtMs: 1000 }, { ...ASKER, id: 'no uuid' }),
    ).catch(() => undefined)
    const [span] = await sent('store objects')
    assert.equal(span?.tags['error.type'], 'value_refused')
  })

  it('do not exist without a recorded trace', async () => {
    const unsampled = contextFromCarrier({ traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00` })
    await store.upsert({ id: 1n, online: true, leftAtMs: 0, fetchedAtMs: 1000 }, ASKER)
    await context.with(unsampled, () => store.upsert({ id: 2n, online: true, leftAtMs: 0, fetchedAtMs: 1000 }, ASKER))
    assert.deepEqual(await storage.query('SELECT DISTINCT traceparent FROM objects'), [{ traceparent: null }])
    await backdate(storage, 30_000)
    assert.equal((await store.deleteExpired(100)).latenessMs.length, 2)
    assert.deepEqual([...(await sent('store objects')), ...(await sent('expire objects'))], [])
  })
})
