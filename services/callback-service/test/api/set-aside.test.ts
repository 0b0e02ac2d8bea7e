import assert from 'node:assert/strict'
import { pino } from 'pino'
import { adminServer } from '#foundation/admin/server.ts'
import { Settings } from '#foundation/config/settings.ts'
import type { HttpServer } from '#foundation/http/server.ts'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { checkAnswers } from '../../../../test/support/check-answers.ts'
import { adminPortRoutes, documentOf } from '../../../../test/support/routes.ts'
import { type AsideView, type SetAside, setAsideRoutes } from '../../api/callbacks/set-aside.ts'
import { PROBLEMS } from '../../api/problem-kinds.ts'
import { toProblem } from '../../api/problems.ts'
import { IdempotencyKeyReusedError } from '../../domain/accepting/accept-errors.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'

const ID = '01890a5d-ac96-774b-bcce-b302099a8057'
const view: AsideView = {
  id: ID,
  workspace: 'default',
  reason: 'bigint out of range',
  objectIds: [1n, 9007199254740993n],
  idempotencyKey: 'k',
  requestId: 'r1',
  traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
  receivedAt: new Date(0),
}

describe('/set-aside', () => {
  let server: HttpServer
  let forget: () => void
  const telemetry = new Telemetry({ serviceName: 'test', zipkinUrl: '', sampleRatio: 0, logger: pino({ level: 'silent' }) })
  let asked: unknown[]
  let logged: { msg: string; callback_id?: string }[]

  before(() => telemetry.start())

  after(() => telemetry.stop())

  afterEach(async () => {
    forget()
    await server.stop()
  })

  async function serve(changes: Partial<SetAside> = {}): Promise<void> {
    asked = []
    logged = []
    const spool: SetAside = {
      aside: async () => [view],
      putBack: async (id, without) => (asked.push([id, without]) > 0 && id === ID ? 'default' : undefined),
      drop: async id => (id === ID ? view : undefined),
      ...changes,
    }
    const logger = pino({ level: 'info' }, { write: line => logged.push(JSON.parse(line)) })
    server = adminServer({
      port: 0,
      host: '127.0.0.1',
      allowedHosts: '',
      registry: createRegistry(),
      settings: new Settings({}, { argv: [], env: {} }),
      logger,
      routes: setAsideRoutes(spool, logger),
      kinds: PROBLEMS,
      translate: toProblem,
    })
    await server.start()
    forget = checkAnswers(`http://127.0.0.1:${server.port}`, await documentOf(adminPortRoutes()))
  }

  async function ask(method: string, path: string): Promise<{ status: number; text: string; code: unknown }> {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method })
    const text = await response.text()
    return { status: response.status, text, code: (JSON.parse(text) as { code?: string }).code }
  }

  const toldOf = (): unknown[] => logged.filter(line => line.callback_id === ID).map(line => line.msg)

  it('lists what the database refused, and why, ids exact', async () => {
    await serve()
    const { status, text } = await ask('GET', '/set-aside')
    assert.equal(status, 200)
    const item =
      `{"kind":"SetAsideCallback","id":"${ID}","href":"/set-aside/${ID}","workspace":"default","reason":"bigint out of range","object_ids":[1,9007199254740993],` +
      `"idempotency_key":"k","received_at":"1970-01-01T00:00:00.000Z","request_id":"r1","trace_id":"${'a'.repeat(32)}"}`
    assert.equal(text, `{"kind":"SetAsideList","id":"set-aside","href":"/set-aside","size":1,"items":[${item}]}`)
  })

  it('leads to a callback that was put back, in its workspace', async () => {
    await serve({ putBack: async () => 'shop' })
    const { text } = await ask('POST', `/set-aside/${ID}/put-back`)
    assert.equal(JSON.parse(text).href, `/v1/callbacks/${ID}?workspace_id=shop`)
  })

  it('puts one back, without what is named', async () => {
    await serve()
    const { status, text } = await ask('POST', `/set-aside/${ID}/put-back?without=baggage,request_id`)
    assert.deepEqual([status, JSON.parse(text)], [200, { kind: 'Callback', id: ID, href: `/v1/callbacks/${ID}`, state: 'pending' }])
    assert.deepEqual(asked, [[ID, ['baggage', 'request_id']]])
    assert.deepEqual(toldOf(), ['a callback that was set aside goes to the database again'])
  })

  it('drops one, and answers with what it was', async () => {
    await serve()
    const { status, text } = await ask('DELETE', `/set-aside/${ID}`)
    assert.deepEqual([status, (JSON.parse(text) as { id: string }).id], [200, ID])
    assert.deepEqual(toldOf(), ['a callback that was set aside is dropped'])
  })

  for (const [method, path, status, code] of [
    ['POST', '/set-aside/nobody/put-back', 404, 'callback_not_found'],
    ['DELETE', '/set-aside/nobody', 404, 'callback_not_found'],
    ['POST', `/set-aside/${ID}/put-back?without=object_ids`, 400, 'invalid_parameter'],
    ['POST', `/set-aside/${ID}/put-back?without=baggage&without=baggage`, 400, 'invalid_parameter'],
    ['GET', `/set-aside/${ID}`, 405, 'method_not_allowed'],
    ['DELETE', '/set-aside', 405, 'method_not_allowed'],
  ] as const) {
    it(`answers ${status} ${code} to ${method} ${path}, and says nothing in the log`, async () => {
      await serve()
      const answer = await ask(method, path)
      assert.deepEqual([answer.status, answer.code, toldOf()], [status, code, []])
    })
  }

  it('says that another callback has the key', async () => {
    await serve({ putBack: () => Promise.reject(new IdempotencyKeyReusedError()) })
    const answer = await ask('POST', `/set-aside/${ID}/put-back`)
    assert.deepEqual([answer.status, answer.code], [422, 'idempotency_key_reused'])
  })

  it('says that the spool cannot be used', async () => {
    await serve({ aside: () => Promise.reject(new StorageUnavailableError('the spool is closed')) })
    const answer = await ask('GET', '/set-aside')
    assert.deepEqual([answer.status, answer.code], [503, 'storage_unavailable'])
  })
})
