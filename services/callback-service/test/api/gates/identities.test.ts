import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { Identities, SUPERUSER } from '../../../api/gates/identities.ts'
import type { KnownKey } from '../../../domain/workspaces/caller.ts'

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest()
const knownKey = (key: string, expiresAt: Date | null = null): KnownKey => ({
  id: `id of ${key}`,
  workspace: 'shop',
  role: 'send',
  hash: hashOf(key),
  expiresAt,
  agentId: null,
})
const invalid = { code: 'invalid_key', headers: { 'WWW-Authenticate': 'Bearer realm="answerback"' } }

describe('Identities', () => {
  let keys: Map<string, KnownKey>
  let lookups: number
  let now: number
  let change: () => void

  beforeEach(() => {
    keys = new Map()
    lookups = 0
    now = 1000
  })

  function add(text: string, expiresAt: Date | null = null): KnownKey {
    const key = knownKey(text, expiresAt)
    keys.set(key.hash.toString('hex'), key)
    return key
  }

  function identities(superuserKeys: readonly string[] = []): Identities {
    return new Identities({
      directory: {
        keyWithHash(hash) {
          lookups += 1
          return keys.get(hash.toString('hex'))
        },
        onChange(listener) {
          change = listener
        },
      },
      superuserKeys,
      databaseNowMs: () => now,
    })
  }

  it('know every superuser, and who has a key, and nobody else', () => {
    const key = add('k')
    const known = identities(['first', 'second'])
    assert.deepEqual([known.of('first'), known.of('second')], [SUPERUSER, SUPERUSER])
    assert.deepEqual(known.of('k'), { role: 'send', workspace: 'shop', key })
    assert.equal(known.of('K'), undefined)
    assert.deepEqual(SUPERUSER, { role: 'superuser', workspace: undefined, key: undefined })
  })

  it('do not believe a directory that gives another key', () => {
    keys.set(hashOf('k').toString('hex'), knownKey('another'))
    assert.equal(identities().of('k'), undefined)
  })

  it('read keys of at most 512 characters', () => {
    const [longest, tooLong] = ['k'.repeat(512), 'k'.repeat(513)]
    const known = identities([longest, tooLong])
    assert.deepEqual([known.of(longest), known.of(tooLong)], [SUPERUSER, undefined])
  })

  it('ask for a verified key again only after a change', () => {
    const key = add('k')
    const known = identities()
    known.of('k')
    known.of('k')
    assert.deepEqual([lookups, known.changes], [1, 0])
    keys.delete(key.hash.toString('hex'))
    change()
    assert.deepEqual([known.of('k'), lookups, known.changes], [undefined, 2, 1])
  })

  it('remember at most a thousand keys', () => {
    const known = identities()
    const texts = Array.from({ length: 1001 }, (_, i) => `key ${i}`)
    for (const text of texts) add(text)
    for (const text of texts.slice(0, 1000)) known.of(text)
    known.of('key 0')
    assert.equal(lookups, 1000)
    known.of('key 1000')
    known.of('key 1000')
    known.of('key 0')
    assert.equal(lookups, 1002)
  })

  it('remember a key however many unknown ones come', () => {
    add('k')
    const known = identities()
    known.of('k')
    for (let i = 0; i < 1000; i += 1) known.of(`unknown ${i}`)
    known.of('k')
    assert.equal(lookups, 1001)
  })

  it('refuse a key from the moment when it expires, verified or not', () => {
    add('k', new Date(1001))
    const known = identities()
    assert.ok(known.of('k'))
    now = 1001
    assert.throws(() => known.of('k'), invalid)
    assert.throws(() => identities().of('k'), invalid)
  })

  describe('of a caller that was admitted before', () => {
    it('ask nothing while nothing has changed, and nothing for a caller without a key', () => {
      const known = identities()
      known.requireValid(knownKey('revoked'), 0)
      change()
      known.requireValid(undefined, 0)
      assert.equal(lookups, 0)
    })

    it('refuse a key that is gone after a change, and only that', () => {
      const key = add('k')
      const known = identities()
      change()
      known.requireValid(key, 0)
      assert.throws(() => known.requireValid(knownKey('revoked'), 0), invalid)
    })

    it('refuse a key that has expired meanwhile', () => {
      const key = add('k', new Date(1001))
      const known = identities()
      known.requireValid(key, 0)
      now = 1001
      assert.throws(() => known.requireValid(key, 0), invalid)
    })
  })
})
