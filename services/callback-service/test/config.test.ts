import assert from 'node:assert/strict'
import { Settings } from '#foundation/config/settings.ts'
import { schema, sessionUrlOf, superuserKeysOf } from '../config.ts'
import { contradictionIn, warningsAbout } from '../config-checks.ts'

const DATABASE_URL = 'postgresql://u:p@pooler:6432/answerback'

function read(env: Record<string, string> = {}): Settings<typeof schema> {
  return new Settings(schema, { argv: [], env: { DATABASE_URL, ...env }, check: contradictionIn })
}

describe('the settings of the callback service', () => {
  it('allow at most ten years of seconds, also in a change', () => {
    const settings = read({ EXPIRY_TTL_SECONDS: '315360000' })
    assert.throws(() => settings.change({ expiry: { ttlSeconds: 1e13 } }), {
      message: /^expiry\.ttlSeconds: must be a number above 0, at most 315360000/,
    })
    assert.equal(settings.current.expiry.ttlSeconds, 315_360_000)
    assert.throws(() => read({ CALLBACKS_RETENTION_SECONDS: '315360001' }), { message: /^callbacks\.retentionSeconds: must be/ })
  })

  it('use the database URL for sessions, or their own', () => {
    assert.equal(sessionUrlOf(read().current), DATABASE_URL)
    const own = 'postgresql://u:hunter2@primary/answerback'
    const settings = read({ DATABASE_SESSION_URL: own })
    assert.equal(sessionUrlOf(settings.current), own)
    assert.ok(!JSON.stringify(settings.masked()).includes('hunter2'))
    assert.throws(() => read({ DATABASE_SESSION_URL: 'primary' }), { message: /^database\.sessionUrl: must be a postgresql:\/\/ URL/ })
  })

  it('require a retention as long as a signed callback is accepted', () => {
    const signed = { SENDERS_SECRETS: `whsec_${'A'.repeat(32)}` }
    assert.throws(() => read({ ...signed, CALLBACKS_RETENTION_SECONDS: '599' }), { message: /^callbacks\.retentionSeconds is below 600/ })
    assert.doesNotThrow(() => read({ ...signed, CALLBACKS_RETENTION_SECONDS: '600' }))
    assert.doesNotThrow(() => read({ CALLBACKS_RETENTION_SECONDS: '2' }))
  })

  for (const origins of [
    'https://app.example/',
    'app.example',
    'https://app.example/path',
    'https://app.example:443',
    '*',
    'null',
    'ftp://a',
  ]) {
    it(`take no origin of pages that a browser would never send: ${origins}`, () => {
      assert.throws(() => read({ HTTP_CORS_ORIGINS: origins }), { message: /^http\.corsOrigins: must be origins such as/ })
    })
  }

  it('take several origins of pages, and none', () => {
    for (const origins of ['', 'https://app.example http://localhost:3000'])
      assert.equal(read({ HTTP_CORS_ORIGINS: origins }).current.http.corsOrigins, origins)
  })

  it('take no blank for the secrets of senders', () => {
    assert.throws(() => read({ SENDERS_SECRETS: ' ' }), { message: /^senders\.secrets: must be/ })
  })

  it('warn if an object may expire before an answer comes, but not by default', () => {
    const local = { HTTP_HOST: '127.0.0.1' }
    assert.deepEqual(warningsAbout(read(local).current), [])
    const [warning, ...others] = warningsAbout(read({ ...local, EXPIRY_TTL_SECONDS: '5.9' }).current)
    assert.match(warning ?? '', /^expiry\.ttlSeconds is below fetch\.timeoutMs/)
    assert.deepEqual(others, [])
  })

  it('warn if the ledger forgets callbacks before their rows are deleted', () => {
    const env = { HTTP_HOST: '127.0.0.1', CALLBACKS_RETENTION_SECONDS: String(2 * 86_400) }
    assert.deepEqual(warningsAbout(read({ ...env, LEDGER_RETENTION_DAYS: '2' }).current), [])
    assert.match(warningsAbout(read({ ...env, LEDGER_RETENTION_DAYS: '1' }).current).join(), /^ledger\.retentionDays is shorter than/)
  })

  const KEY = 'k'.repeat(32)

  it('warn that everybody may do everything, unless the port is on loopback or callers need keys', () => {
    for (const HTTP_HOST of ['0.0.0.0', '::', '10.0.0.7', '128.0.0.1', 'answerback.example', 'localhost.example'])
      assert.match(
        warningsAbout(read({ HTTP_HOST }).current).join(),
        /^everybody who reaches the port may do everything: set access\.mode/,
        HTTP_HOST,
      )
    for (const HTTP_HOST of ['127.0.0.1', '127.8.8.8', '::1', 'LocalHost'])
      assert.deepEqual(warningsAbout(read({ HTTP_HOST }).current), [], HTTP_HOST)
    for (const closed of [{ ACCESS_MODE: 'keys' }, { ACCESS_SUPERUSER_KEYS: KEY }])
      assert.deepEqual(warningsAbout(read(closed).current), [])
  })

  it('warn that everybody who reaches the admin port may do everything, if the live page is on beyond loopback and nobody needs a key', () => {
    const exposed = { HTTP_HOST: '127.0.0.1', ADMIN_HOST: '0.0.0.0' }
    assert.deepEqual(warningsAbout(read({ ...exposed, ADMIN_PAGE: 'on' }).current), [
      'everybody who reaches the admin port may do everything: publish it on loopback alone',
    ])
    for (const ADMIN_PAGE of ['auto', 'off']) assert.deepEqual(warningsAbout(read({ ...exposed, ADMIN_PAGE }).current), [])
    assert.deepEqual(warningsAbout(read({ ...exposed, ADMIN_PAGE: 'on', ACCESS_MODE: 'keys' }).current), [])
  })

  it('take keys of superusers that a Bearer header can carry, and mask them', () => {
    const settings = read({ ACCESS_SUPERUSER_KEYS: ` ${KEY}  ${KEY}/+~.= ` })
    assert.deepEqual(superuserKeysOf(settings.current), [KEY, `${KEY}/+~.=`])
    assert.ok(!JSON.stringify(settings.masked()).includes(KEY))
    assert.deepEqual(superuserKeysOf(read().current), [])
  })

  for (const keys of [' ', 'k'.repeat(31), 'k'.repeat(513), `${KEY} short`, `https://${KEY}`, `${KEY},${KEY}`, `ключ${KEY}`]) {
    it(`take no other text for keys of superusers: ${JSON.stringify(keys.slice(0, 40))}`, () => {
      assert.throws(() => read({ ACCESS_SUPERUSER_KEYS: keys }), { message: /^access\.superuserKeys: must be keys of 32/ })
    })
  }

  it('know two modes of access', () => {
    assert.throws(() => read({ ACCESS_MODE: 'closed' }), { message: /^access\.mode/ })
  })

  it('accept a client service below a path', () => {
    assert.equal(read({ CLIENT_SERVICE_URL: 'http://host/api/' }).current.clientService.url, 'http://host/api/')
  })

  for (const url of ['http://169.254.169.254', 'http://2852039166/api', 'https://[fe80::1]:8443']) {
    it(`refuse a client service at a link-local address unless it is allowed: ${url}`, () => {
      assert.throws(() => read({ CLIENT_SERVICE_URL: url }), { message: /^clientService\.url is a link-local, metadata/ })
      assert.doesNotThrow(() => read({ CLIENT_SERVICE_URL: url, CLIENT_SERVICE_ALLOW_LINK_LOCAL: 'true' }))
    })
  }

  for (const url of ['http://host/api?key=1', 'http://host/api#part', 'http://host?']) {
    it(`refuse a client service with a query or a fragment: ${url}`, () => {
      assert.throws(() => read({ CLIENT_SERVICE_URL: url }), { message: /^clientService\.url has a query or a fragment/ })
    })
  }
})
