import assert from 'node:assert/strict'
import { hostInUrl, listenHosts } from '../hosts.ts'

describe('the addresses that make run listens on', () => {
  for (const [what, wanted, env, callback, client] of [
    ['nobody needs a key', '', {}, '127.0.0.1', '127.0.0.1'],
    ['the access is open', '', { ACCESS_MODE: 'open' }, '127.0.0.1', '127.0.0.1'],
    ['the superuser keys are blank', '', { ACCESS_SUPERUSER_KEYS: ' ' }, '127.0.0.1', '127.0.0.1'],
    ['everybody needs a key', '', { ACCESS_MODE: 'keys' }, '0.0.0.0', '127.0.0.1'],
    ['there is a superuser key', '', { ACCESS_SUPERUSER_KEYS: 'secret' }, '0.0.0.0', '127.0.0.1'],
    ['the user chose one', '0.0.0.0', {}, '0.0.0.0', '0.0.0.0'],
    ['the user chose one in spite of keys', '127.0.0.1', { ACCESS_MODE: 'keys' }, '127.0.0.1', '127.0.0.1'],
  ] as const) {
    it(`are ${callback} and ${client} if ${what}`, () => assert.deepEqual(listenHosts(wanted, env), { callback, client }))
  }

  for (const [host, inUrl] of [
    ['0.0.0.0', '127.0.0.1'],
    ['::', '127.0.0.1'],
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '[::1]'],
    ['192.0.2.7', '192.0.2.7'],
    ['localhost', 'localhost'],
  ] as const) {
    it(`are reached at ${inUrl} if a service listens on ${host}`, () => assert.equal(hostInUrl(host), inUrl))
  }
})
