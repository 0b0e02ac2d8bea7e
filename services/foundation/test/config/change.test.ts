import assert from 'node:assert/strict'
import type { ConfigError } from '../../config/schema.ts'
import { Settings, type SettingsOptions } from '../../config/settings.ts'
import { DATABASE_URL, schema } from '../test-settings.ts'

function read(check?: SettingsOptions<typeof schema>['check']): Settings<typeof schema> {
  return new Settings(schema, { argv: [], env: { DATABASE_URL }, check })
}

describe('Settings.change', () => {
  it('changes hot settings, and passes all new values to listeners', () => {
    const settings = read()
    const told: unknown[] = []
    settings.onChange(next => told.push(next))
    settings.change({ fetch: { timeoutMs: 5 }, log: { level: 'warn' }, emit: true })
    const { fetch, log, emit } = settings.current
    assert.deepEqual([fetch.timeoutMs, fetch.retries, log.level, emit], [5, 2, 'warn', true])
    assert.deepEqual(told, [settings.current])
  })

  it('restores the initial value with null', () => {
    const settings = new Settings(schema, { argv: ['--fetch-timeout-ms=7'], env: { DATABASE_URL } })
    settings.change({ fetch: { timeoutMs: 5 }, emit: true })
    settings.change({ fetch: { timeoutMs: null }, emit: null })
    assert.deepEqual([settings.current.fetch.timeoutMs, settings.current.emit], [7, false])
  })

  it('changes nothing when asked for nothing', () => {
    const settings = read()
    const before = settings.current
    settings.change({ fetch: {} })
    assert.deepEqual(settings.current, before)
  })

  const refused: [what: string, changes: unknown, code: ConfigError['code'], sentence: RegExp][] = [
    ['a value that is not valid', { fetch: { timeoutMs: -1 } }, 'invalid_setting', /^fetch\.timeoutMs: must be an integer from 1/],
    ['a group that is null', { fetch: null }, 'invalid_setting', /^fetch is a group/],
    ['a value that is an object', { fetch: { timeoutMs: {} } }, 'invalid_setting', /^fetch\.timeoutMs: must be one value/],
    ['a value that is a list', { fetch: { timeoutMs: [5] } }, 'invalid_setting', /^fetch\.timeoutMs: must be one value/],
    ['a value for a group', { fetch: 5 }, 'invalid_setting', /^fetch is a group/],
    ['what is not an object', [], 'invalid_setting', /^settings must be a JSON object$/],
    ['a good value beside a bad one', { emit: true, sample: { ratio: 2 } }, 'invalid_setting', /^sample\.ratio: /],
    ['a good value beside an unknown one', { emit: true, nope: 1 }, 'unknown_setting', /^there is no setting nope$/],
    ['a good value beside a fixed one', { emit: true, http: { port: 1 } }, 'not_changeable', /^http\.port cannot change/],
    ['an unknown setting', { fetch: { timeout: 1 } }, 'unknown_setting', /^there is no setting fetch\.timeout$/],
    ['an unknown group, empty', { nope: {} }, 'unknown_setting', /^there is no setting nope$/],
    ['a dotted name', { 'fetch.timeoutMs': 5 }, 'unknown_setting', /^there is no setting fetch\.timeoutMs$/],
    ['a name that is far too long', { ['x'.repeat(1000)]: 1 }, 'unknown_setting', /^there is no setting x{64}$/],
  ]
  for (const [what, changes, code, sentence] of refused) {
    it(`refuses ${what}, and changes nothing`, () => {
      const settings = read()
      const before = settings.current
      settings.onChange(() => assert.fail('nothing has changed'))
      assert.throws(
        () => settings.change(changes),
        (error: ConfigError) => {
          assert.deepEqual([error.code, sentence.test(error.message)], [code, true], error.message)
          return true
        },
      )
      assert.deepEqual(settings.current, before)
      assert.deepEqual((settings.masked() as typeof before).fetch, before.fetch)
    })
  }

  it('refuses a change that contradicts other settings', () => {
    const check: SettingsOptions<typeof schema>['check'] = ({ fetch }) => (fetch.timeoutMs < fetch.retries ? 'too short' : undefined)
    const settings = read(check)
    assert.throws(() => settings.change({ fetch: { timeoutMs: 1 } }), /^Error: too short$/)
    settings.change({ fetch: { retries: 0 } })
    assert.deepEqual(settings.current.fetch, { timeoutMs: 1000, retries: 0 })
  })

  for (const text of [
    '{"__proto__":{"polluted":true}}',
    '{"__proto__":{}}',
    '{"fetch":{"__proto__":{"timeoutMs":5}}}',
    '{"constructor":{"prototype":{"polluted":true}}}',
    '{"fetch":{"constructor":{"prototype":{"polluted":true}}}}',
    '{"toString":{"a":{"b":1}}}',
  ]) {
    it(`refuses a change of a prototype: ${text}`, () => {
      const settings = read()
      const before = settings.current
      assert.throws(() => settings.change(JSON.parse(text)), { code: 'unknown_setting' })
      assert.deepEqual(settings.current, before)
      assert.equal(({} as { polluted?: boolean }).polluted, undefined)
    })
  }
})
