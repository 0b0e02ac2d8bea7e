import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Registry } from 'prom-client'
import { callbackMetrics, LIVE_GAUGES, liveGauges } from '../../../services/callback-service/metrics.ts'
import { parseNumbers, Summary, summaryLine } from '../summary.ts'

type Reads = Parameters<typeof liveGauges>[1]

describe('parseNumbers', () => {
  it("reads the callback service's own metrics", async () => {
    const registry = new Registry()
    const metrics = callbackMetrics(registry)
    liveGauges(registry, {
      ...(Object.fromEntries(Object.keys(LIVE_GAUGES).map(name => [name, () => 0])) as Reads),
      fetches_in_flight: () => 3,
    })
    for (const workspace of ['default', 'shop', 'shop']) metrics.onEvent({ event: 'answered', outcome: 'accepted', workspace })
    metrics.onEvent({ event: 'answered', outcome: 'bad_request', workspace: 'unknown' })
    metrics.stored.inc(40)
    metrics.expired.inc(30)
    metrics.live.set(10)
    metrics.countBacklog(new Map([['default', 2]]))
    assert.deepEqual(parseNumbers(await registry.metrics()), { accepted: 3, inFlight: 3, stored: 40, live: 10, expired: 30, backlog: 2 })
  })

  it('reads a missing number as 0', () => {
    assert.deepEqual(parseNumbers('# nothing\n'), { accepted: 0, inFlight: 0, stored: 0, live: 0, expired: 0, backlog: 0 })
  })
})

describe('summaryLine', () => {
  it('shows totals with the increase since the previous line', () => {
    const now = { accepted: 5, inFlight: 3, stored: 40, live: 10, expired: 30, backlog: 2 }
    assert.equal(
      summaryLine(now, { accepted: 4, stored: 40, expired: 10 }),
      'accepted 5 (+1) · in flight 3 · stored 40 (+0) · live 10 · expired 30 (+20) · backlog 2',
    )
  })
})

describe('Summary', () => {
  it('continues counting when the callback service starts at 0 again, and is silent while it is down', async () => {
    const answers = ['objects_stored_total 5', undefined, 'objects_stored_total 2', 'objects_stored_total 4']
    const server = createServer((_request, response) => {
      const answer = answers.shift()
      if (answer === undefined) response.destroy()
      else response.end(`${answer}\n`)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const lines: string[] = []
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
    await new Promise<void>(resolve => {
      const summary = new Summary({
        metricsUrl: url,
        intervalMs: 10,
        say: line => {
          lines.push(line.replace(/.*(stored \S+ \S+).*/, '$1'))
          if (lines.length < 3) return
          summary.stop()
          resolve()
        },
      })
      summary.start()
    })
    server.close()
    assert.deepEqual(lines, ['stored 5 (+5)', 'stored 7 (+2)', 'stored 9 (+2)'])
  })
})
