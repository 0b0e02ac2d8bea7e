import assert from 'node:assert/strict'
import { Settings } from '#foundation/config/settings.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import { contradictionIn, schema } from '../../../../client-service/config.ts'
import { type SwitchSource, switchRoutes } from '../../../api/page/switch-routes.ts'
import { serveAdmin } from './serve-admin.ts'

const PATH = '/client-service/config'

describe('the switches of the client service', () => {
  let api: Awaited<ReturnType<typeof serveAdmin>>
  let source: SwitchSource
  let settings: Settings<typeof schema>

  beforeEach(async () => {
    settings = new Settings(schema, { argv: [], env: { CALLBACK_SERVICE_KEY: 'hunter2' }, check: contradictionIn })
    const all = () => ({ statusCode: 200, body: JSON.stringify(settings.masked()) })
    source = {
      read: async () => all(),
      async change(changes) {
        try {
          settings.change(changes)
          return all()
        } catch (error) {
          return { statusCode: 422, body: JSON.stringify({ code: 'invalid_setting', detail: (error as Error).message }) }
        }
      },
    }
    const passedOn: SwitchSource = { read: () => source.read(), change: changes => source.change(changes) }
    api = await serveAdmin({ routes: switchRoutes(passedOn) })
  })

  afterEach(() => api.stop())

  const change = (body: unknown, type = 'application/json'): Promise<Response> =>
    fetch(`${api.url}${PATH}`, { method: 'PATCH', body: JSON.stringify(body), headers: { 'content-type': type } })

  const codeOf = async (response: Response): Promise<string> => `${response.status} ${((await response.json()) as { code: string }).code}`

  it('are its faults and its latency, and none of its other settings', async () => {
    const { faults, latency } = settings.current
    assert.deepEqual(await (await fetch(`${api.url}${PATH}`)).json(), {
      kind: 'Switches',
      id: 'client-service',
      href: PATH,
      faults,
      latency,
    })
  })

  it('change, and the answer shows their new values', async () => {
    const response = await change({ faults: { down: true, errorShare: 0.3 }, latency: { maxMs: 400 } })
    assert.equal(response.status, 200)
    const { faults } = (await response.json()) as { faults: { down: boolean; errorShare: number } }
    assert.deepEqual([faults.down, faults.errorShare, settings.current.latency.maxMs], [true, 0.3, 400])
    await change({ faults: { down: null, errorShare: null } })
    assert.deepEqual([settings.current.faults.down, settings.current.faults.errorShare], [false, 0])
  })

  const strangers: object[] = [
    { emitter: { enabled: false } },
    { faults: { down: true }, log: { level: 'fatal' } },
    { faults: { errorshare: 1 } },
    { latency: { constructor: 1 } },
    { constructor: {} },
  ]
  for (const stranger of strangers) {
    it(`refuse what is not one of them: ${JSON.stringify(stranger)}`, async () => {
      assert.equal(await codeOf(await change(stranger)), '422 unknown_setting')
      assert.equal(settings.current.faults.down, false)
    })
  }

  for (const shapeless of [[], null, 7, { faults: null }, { faults: [1] }]) {
    it(`refuse a patch of another shape: ${JSON.stringify(shapeless)}`, async () => {
      assert.equal(await codeOf(await change(shapeless)), '422 invalid_setting')
    })
  }

  it('pass on why the client service refuses a value', async () => {
    const response = await change({ faults: { errorShare: 0.7, hangShare: 0.7 } })
    const { code, detail } = (await response.json()) as { code: string; detail: string }
    assert.deepEqual([response.status, code], [422, 'invalid_setting'])
    assert.match(detail, /the shares of faults add up to 1\.4/)
  })

  it('take JSON alone, because a browser lets any page send text', async () => {
    assert.equal(await codeOf(await change({ faults: { down: true } }, 'text/plain')), '415 unsupported_media_type')
  })

  const broken: [what: string, read: SwitchSource['read']][] = [
    ['does not answer', () => Promise.reject(new Error('connect ECONNREFUSED 10.1.2.3:6061'))],
    ['refuses the host name', async () => ({ statusCode: 403, body: '{}' })],
    ['redirects', async () => ({ statusCode: 302, body: '' })],
    ['answers something else', async () => ({ statusCode: 200, body: '<html>' })],
    ['has no switches', async () => ({ statusCode: 200, body: '{"log":{"level":"info"}}' })],
    ['has switches of another type', async () => ({ statusCode: 200, body: '{"faults":{"down":"no"},"latency":{}}' })],
    ['answers null', async () => ({ statusCode: 200, body: 'null' })],
  ]
  for (const [what, read] of broken) {
    it(`say that they cannot be reached if the client service ${what}, without its address`, async () => {
      source = { ...source, read }
      const response = await fetch(`${api.url}${PATH}`)
      const text = await response.text()
      assert.deepEqual([response.status, (JSON.parse(text) as { code: string }).code], [502, 'switches_unreachable'])
      assert.doesNotMatch(text, /10\.1\.2\.3/)
    })
  }

  it('let the refusal of too many requests through', async () => {
    source = { ...source, read: () => Promise.reject(new HttpProblem('too_many_reads', 'Try again.')) }
    assert.equal(await codeOf(await fetch(`${api.url}${PATH}`)), '503 too_many_reads')
  })
})
