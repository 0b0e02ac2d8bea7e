import assert from 'node:assert/strict'
import { range } from './support/callbacks.ts'
import { until } from './support/eventually.ts'
import { Plant } from './support/plant.ts'
import { type System, startSystem } from './support/system.ts'
import type { ZipkinSpan } from './support/zipkin-collector.ts'

describe('the trace of a callback that an agent works on', function () {
  this.timeout(60_000)
  let system: System

  before(async () => {
    system = await startSystem({ callback: { EXPIRY_TTL_SECONDS: '1' }, hasTraces: true })
  })

  after(() => system.stop())

  it('leads from the POST over the lease and the delivery to the deletion', async () => {
    const plant = await Plant.open(system.callbackUrl)
    const agent = await plant.newAgent('first')
    const { trace_id: traceId } = await plant.callback(await plant.accept(range(1, 12)))
    const lease = (await plant.lease(agent.id)) as Awaited<ReturnType<Plant['lease']>> & { readonly traceparent: string }
    assert.equal(lease.traceparent.split('-')[1], traceId)
    const send = (method: string, path: string, body: object): Promise<Response> =>
      fetch(`${system.callbackUrl}${path}`, {
        method,
        headers: { 'x-workspace': 'plant', 'content-type': 'application/json', traceparent: lease.traceparent },
        body: JSON.stringify(body),
      })
    await send('PUT', lease.objects, { objects: lease.object_ids.map(id => ({ id, online: true })) })
    await send('PATCH', lease.location, { state: 'completed' })
    const spans = await until(() => {
      const found = system.zipkin.trace(traceId)
      const expired = found.filter(({ name }) => name === 'expire objects').map(({ tags }) => Number(tags['answerback.object.count']))
      return expired.reduce((sum, count) => sum + count, 0) === 12 ? found : undefined
    })
    const byId = new Map(spans.map(span => [span.id, span]))
    const parentName = ({ parentId }: ZipkinSpan): string | undefined => (parentId === undefined ? undefined : byId.get(parentId)?.name)
    assert.deepEqual(
      new Set(spans.map(span => `${parentName(span)} > ${span.name}`)),
      new Set([
        'undefined > POST /callback',
        'POST /callback > accept callback',
        'accept callback > lease callback',
        'lease callback > PUT /v1/leases/:token/objects',
        'lease callback > PATCH /v1/leases/:token',
        'PUT /v1/leases/:token/objects > store objects',
        'store objects > expire objects',
      ]),
    )
  })
})
