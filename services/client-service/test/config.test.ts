import assert from 'node:assert/strict'
import { ConfigError } from '#foundation/config/schema.ts'
import { Settings } from '#foundation/config/settings.ts'
import { contradictionIn, schema } from '../config.ts'

function read(env: Record<string, string> = {}, argv: string[] = []): Settings<typeof schema> {
  return new Settings(schema, { argv, env, check: contradictionIn })
}

describe('the settings of the client service', () => {
  it('have the names and defaults that others rely on', () => {
    const { http, admin, callbackService, emitter, objects, latency } = read().current
    assert.deepEqual([http.port, admin.port, admin.host], [9010, 6061, '127.0.0.1'])
    assert.equal(callbackService.url, 'http://127.0.0.1:9090')
    assert.deepEqual([emitter.enabled, emitter.intervalMs, emitter.maxIds], [true, 5000, 200])
    assert.deepEqual([objects.count, latency.minMs, latency.maxMs], [100, 300, 4300])
    assert.equal(read({ CALLBACK_SERVICE_URL: 'http://a:1', LATENCY_MIN_MS: '5' }, ['--latency-min-ms=7']).current.latency.minMs, 7)
  })

  it('refuse a fastest answer that is slower than the slowest', () => {
    assert.throws(() => read({ LATENCY_MIN_MS: '5000' }), new ConfigError('latency.minMs (5000) is above latency.maxMs (4300)'))
  })

  it('refuse shares of faults that add up to more than all answers', () => {
    assert.throws(
      () => read({ FAULTS_ERROR_SHARE: '0.7', FAULTS_HANG_SHARE: '0.4' }),
      new ConfigError('the shares of faults add up to 1.1; together they may be at most 1'),
    )
  })

  it('read a list of objects, and refuse other texts', () => {
    for (const text of ['', '7', '-3', '7,100..130', '-9223372036854775808..9223372036854775807'])
      assert.equal(read({ FAULTS_OBJECT_IDS: text }).current.faults.objectIds, text)
    for (const text of ['a', '1,', ',1', '1..', '1..2..3', '1-2', '1, 2', '7;8', '-'])
      assert.throws(
        () => read({ FAULTS_OBJECT_IDS: text }),
        new ConfigError('faults.objectIds must be ids and ranges of ids, as in 7,100..130'),
        text,
      )
  })

  it('accept shares that add up to 1 except for rounding', () => {
    const settings = read({ FAULTS_ERROR_SHARE: '0.7', FAULTS_HANG_SHARE: '0.1', FAULTS_DRIP_SHARE: '0.1', FAULTS_RESET_SHARE: '0.1' })
    settings.change({ faults: { errorShare: 0.1, hangShare: 0.3, dripShare: 0.6, resetShare: 0 } })
  })

  it('keep their values when a change contradicts them', () => {
    const settings = read()
    assert.throws(() => settings.change({ latency: { minMs: 6000 }, faults: { down: true } }), ConfigError)
    assert.deepEqual([settings.current.latency.minMs, settings.current.faults.down], [300, false])
    settings.change({ latency: { minMs: 6000, maxMs: 7000 } })
    assert.equal(settings.current.latency.minMs, 6000)
  })
})
