import assert from 'node:assert/strict'
import { Settings } from '#foundation/config/settings.ts'
import { schema } from '../../config.ts'
import { livePage } from '../../wiring/page.ts'

async function sessionWith(env: Record<string, string>): Promise<{ trace_url: string | null; has_switches: boolean }> {
  const { current: config } = new Settings(schema, { argv: [], env: { DATABASE_URL: 'postgresql://a', ...env } })
  const { admin, parts } = livePage({ config, routes: [], more: [], keyed: () => undefined, isOpen: true, onReceived: () => undefined })
  for (const part of parts) await part.stop?.()
  const session = admin.routes.find(({ operationId }) => operationId === 'getPageSession')
  const answer = await session?.answer({} as never, {} as never)
  return JSON.parse(String(answer?.body)) as { trace_url: string | null; has_switches: boolean }
}

describe('the session of the live page', () => {
  const links: [what: string, env: Record<string, string>, link: string | null][] = [
    [
      'at the host that receives the spans',
      { ZIPKIN_URL: 'http://zipkin:9411/api/v2/spans' },
      'http://zipkin:9411/zipkin/traces/{trace_id}',
    ],
    ['where browsers reach it', { TRACING_UI_URL: 'https://z.example/zipkin/' }, 'https://z.example/zipkin/traces/{trace_id}'],
    [
      'behind a collector, if its address is set',
      { TRACING_EXPORTER: 'otlp', TRACING_UI_URL: 'http://z/zipkin' },
      'http://z/zipkin/traces/{trace_id}',
    ],
    ['nowhere, if a collector gets the spans', { TRACING_EXPORTER: 'otlp' }, null],
    ['nowhere, if no spans are sent', { ZIPKIN_URL: '' }, null],
    ['nowhere, if tracing is off', { TRACING_EXPORTER: 'none', TRACING_UI_URL: 'http://z/zipkin' }, null],
  ]
  for (const [where, env, link] of links) {
    it(`leads to traces ${where}`, async () => assert.equal((await sessionWith(env)).trace_url, link))
  }

  it('says whether the switches of the client service can be reached', async () => {
    assert.equal((await sessionWith({})).has_switches, false)
    assert.equal((await sessionWith({ CLIENT_SERVICE_ADMIN_URL: 'http://127.0.0.1:6061' })).has_switches, true)
  })
})
