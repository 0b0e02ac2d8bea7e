import assert from 'node:assert/strict'
import { ZipkinCollector } from '../../../../../test/support/zipkin-collector.ts'
import { ACCEPTED_ID, serveApi } from '../serve-api.ts'
import { DirectoryInMemory, newKey } from './directory-in-memory.ts'

const SUPERUSER_KEY = 'superuser-'.repeat(4)
const TIME = new Date(0).toISOString()

describe('a key', function () {
  this.timeout(60_000)
  let zipkin: ZipkinCollector
  let api: Awaited<ReturnType<typeof serveApi>>

  beforeEach(async () => {
    zipkin = new ZipkinCollector()
    await zipkin.start()
  })

  afterEach(async () => {
    await api.stop()
    zipkin.stop()
  })

  it('appears in no answer, header, log line, span, metric or stored callback, wherever it comes and whatever goes wrong', async () => {
    const directory = new DirectoryInMemory()
    directory.addWorkspace('shop', { limits: { requestsPerSecond: 50 } })
    const keys = [
      newKey('shop'),
      SUPERUSER_KEY,
      directory.addKey('shop', 'manage', { expiresAt: new Date(0) }),
      ...(['send', 'read', 'manage'] as const).map(role => directory.addKey('shop', role)),
    ]
    const stored: unknown[] = []
    const item = (position: number) => ({
      id: String(position),
      online: true,
      lastSeenAt: null,
      storedAt: TIME,
      expiresAt: TIME,
      callbackId: ACCEPTED_ID,
    })
    api = await serveApi({
      directory,
      access: { mode: 'keys', superuserKeys: [SUPERUSER_KEY], maxFailures: 40 },
      logLevel: 'trace',
      zipkinUrl: zipkin.url,
      inbox: {
        waitSeconds: 0,
        accept: async callback => {
          stored.push(callback)
          if (stored.length % 3 === 0) throw new Error('a bug')
          return { id: ACCEPTED_ID, receivedAt: new Date(0), isReplay: false, durability: 'database', forecast: undefined }
        },
      },
      // More than the page shows, so that it has links.
      objects: { find: async () => undefined, list: async (_filter, { limit }) => Array.from({ length: limit }, (_, i) => item(i)) },
    })
    const answered: string[] = []
    const ask = async (method: string, path: string, query: string, headers: Record<string, string>): Promise<void> => {
      const response = await fetch(`${api.url}${path}${query}`, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        ...(method === 'POST' && { body: '{"object_ids":[1]}' }),
      })
      answered.push(JSON.stringify([...response.headers]), await response.text())
    }
    const paths = ['/v1/nothing', '/callback/', '/%zz', ...new Set(api.routes.map(({ path }) => path.replace(/:\w+/, '7')))]
    for (const path of paths.filter(each => !each.startsWith('/docs/'))) {
      for (const method of ['GET', 'HEAD', 'POST', 'PATCH', 'OPTIONS']) {
        for (const key of keys) {
          await ask(method, path, `?api_key=${key}&limit=1`, {})
          await ask(method, path, `?workspace_id=shop&api_key=${key}&colour=red`, { 'x-api-key': key })
          await ask(method, path, '?workspace_id=nowhere', { authorization: `Bearer ${key}` })
          await ask(method, path, '', { 'x-api-key': key })
        }
      }
    }
    await ask('GET', '/v1/objects', '', {})
    // Stopping sends the last spans.
    await api.stop()
    assert.ok(zipkin.spans.length >= answered.length / 2, `only ${zipkin.spans.length} spans`)

    const everything: Record<string, string> = {
      answers: answered.join('\n'),
      'log lines': api.logged.join('\n'),
      spans: JSON.stringify(zipkin.spans),
      metrics: JSON.stringify([api.measured, api.outcomes]),
      'stored callbacks': JSON.stringify(stored),
    }
    for (const [place, text] of Object.entries(everything)) {
      assert.ok(text.length > 100, place)
      for (const key of keys) assert.ok(!text.includes(key.slice(-30)), `a key is in the ${place}`)
      assert.ok(!text.includes('api_key=') && !text.includes('api_key%3D'), `a parameter is in the ${place}`)
    }
    for (const code of [
      'key_required',
      'invalid_key',
      'bad_request',
      'too_many_failures',
      'too_many_requests',
      'internal_error',
      'invalid_parameter',
    ])
      assert.ok(everything['answers']?.includes(code), `no answer was ${code}`)
    assert.ok(everything['spans']?.includes('"answerback.workspace":"shop"'))
    assert.ok(everything['answers']?.includes('rel=\\"next\\"'))
  })
})
