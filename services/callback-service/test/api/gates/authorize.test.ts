import assert from 'node:assert/strict'
import { sendRaw, serveApi } from '../serve-api.ts'
import { DirectoryInMemory, newKey } from './directory-in-memory.ts'
import { standIn } from './stand-in.ts'

const SUPERUSER_KEY = 'superuser-'.repeat(4)

describe('the gate of keys', () => {
  let directory: DirectoryInMemory
  let api: Awaited<ReturnType<typeof serveApi>>
  let key: string

  beforeEach(() => {
    directory = new DirectoryInMemory()
    for (const name of ['shop', 'Shop']) directory.addWorkspace(name)
    key = directory.addKey('shop', 'read')
  })

  afterEach(() => api.stop())

  async function serve(changes: NonNullable<Parameters<typeof serveApi>[0]>['access'] = {}): Promise<void> {
    api = await serveApi({ directory, access: { mode: 'keys', superuserKeys: [SUPERUSER_KEY], ...changes } })
  }

  async function get(
    path: string,
    headers: Record<string, string> | [string, string][] = {},
  ): Promise<{ answer: string; headers: Headers }> {
    const response = await fetch(`${api.url}${path}`, { headers })
    const { code = 'none' } = (await response.json()) as { code?: string }
    return { answer: `${response.status} ${code}`, headers: response.headers }
  }

  const withKey = async (text: string): Promise<string> => (await get('/v1/objects', { 'x-api-key': text })).answer

  describe('with access.mode=keys', () => {
    for (const [what, badKey] of [
      ['an empty key', () => ''],
      ['a key cut short', () => key.slice(0, -1)],
      ['a key with one more character', () => `${key}A`],
      ['a key with the name of another workspace', () => key.replace('ab_shop', 'ab_lab')],
      ['a key in other case', () => key.replace('ab_shop', 'ab_Shop')],
      ['a key with its random part in other case', () => key.slice(0, 8) + swapCase(key.slice(8))],
      ['a prefix in other case', () => key.replace('ab_', 'AB_')],
      ['a name of 65 characters', () => newKey('x'.repeat(65))],
      ['a path as its name', () => newKey('..')],
      ['a look-alike in UTF-8, read as Latin-1', () => Buffer.from(key.replace('shop', 'shоp')).toString('latin1')],
      ['15 KB', () => newKey('shop').repeat(280)],
      ['the key of a superuser, cut short', () => SUPERUSER_KEY.slice(1)],
      ['a hash', () => 'a'.repeat(64)],
    ] as const) {
      it(`answers 401 invalid_key to ${what}`, async () => {
        await serve()
        assert.equal(await withKey(badKey()), '401 invalid_key')
      })
    }

    for (const [what, query] of [
      ['a NUL', () => `${key}%00`],
      ['a look-alike', () => key.replace('shop', 'sh%D0%BEp')],
      ['a line end', () => `${key}%0A`],
      ['no text', () => ''],
    ] as const) {
      it(`answers 401 invalid_key to ?api_key= with ${what}`, async () => {
        await serve()
        assert.equal((await get(`/v1/objects?api_key=${query()}`)).answer, '401 invalid_key')
      })
    }

    it('refuses headers of 64 KB before it looks at a key', async () => {
      await serve()
      assert.equal((await fetch(`${api.url}/v1/objects`, { headers: { 'x-api-key': 'k'.repeat(65_536) } })).status, 431)
    })

    it('takes a key from each of its places', async () => {
      await serve()
      for (const headers of [{ authorization: `Bearer ${key}` }, { authorization: `bearer   ${key}` }, { 'X-API-KEY': key }])
        assert.equal((await get('/v1/objects', headers)).answer, '200 none')
      assert.equal((await get(`/v1/objects?api%5Fkey=${key}`)).answer, '200 none')
      assert.equal((await get('/v1/objects', { authorization: 'Bearer' })).answer, '401 invalid_key')
      assert.equal((await get('/v1/objects', { authorization: 'Basic dTpw' })).answer, '401 key_required')
    })

    for (const [what, path, headers] of [
      ['two headers', '/v1/objects', () => ({ authorization: `Bearer ${key}`, 'x-api-key': key })],
      ['a header and the URL', `/v1/objects?api_key=x`, () => ({ 'x-api-key': key })],
      ['the URL twice', '/v1/objects?api_key=x&api_key=y', () => ({})],
    ] as const) {
      it(`answers 400 bad_request to keys in ${what}`, async () => {
        await serve()
        assert.equal((await get(path, headers())).answer, '400 bad_request')
      })
    }

    for (const header of ['X-API-Key: k', 'Authorization: Bearer k', 'X-Workspace: shop']) {
      it(`answers 400 bad_request to two headers: ${header}`, async () => {
        await serve()
        const path = header.startsWith('X-W') ? `/v1/objects?api_key=${SUPERUSER_KEY}` : '/v1/objects'
        const twice = `${header}\r\n${header}\r\n`
        const { status } = await sendRaw(api.server.port, [`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${twice}Connection: close\r\n\r\n`])
        assert.equal(status, 400)
      })
    }

    it('looks at the database once for a key that it does not know, and takes one that is new', async () => {
      await serve()
      const fresh = directory.addKey('shop', 'read', { isHidden: true })
      assert.equal(await withKey(fresh), '200 none')
      assert.equal(await withKey(fresh), '200 none')
      assert.equal(directory.refreshes, 1)
      assert.equal(await withKey('no key at all'), '401 invalid_key')
      assert.equal(directory.refreshes, 1)
    })

    it('serves known keys while the database is away, and answers 503 to unknown ones', async () => {
      await serve()
      directory.isDatabaseAway = true
      assert.equal(await withKey(key), '200 none')
      assert.equal(await withKey(SUPERUSER_KEY), '200 none')
      const { answer, headers } = await get('/v1/objects', { 'x-api-key': newKey('shop') })
      assert.deepEqual([answer, headers.get('retry-after')], ['503 storage_unavailable', '1'])
    })

    it('finds a workspace that another replica has just made', async () => {
      directory.hideWorkspace('new')
      await serve()
      assert.equal((await get('/v1/objects?workspace_id=new', { 'x-api-key': SUPERUSER_KEY })).answer, '200 none')
    })

    it('does not say that a workspace does not exist while it cannot look', async () => {
      directory.isDatabaseAway = true
      await serve()
      const answers = ['default', 'nowhere'].map(name => get(`/v1/objects?workspace_id=${name}`, { 'x-api-key': SUPERUSER_KEY }))
      assert.deepEqual(
        (await Promise.all(answers)).map(({ answer }) => answer),
        ['200 none', '503 storage_unavailable'],
      )
    })

    it('refuses a key that was good a moment ago when it is revoked, and when it has expired', async () => {
      let now = 1000
      const brief = directory.addKey('shop', 'read', { expiresAt: new Date(2000) })
      await serve({ databaseNowMs: () => now })
      assert.deepEqual([await withKey(key), await withKey(brief)], ['200 none', '200 none'])
      directory.revoke(key)
      now = 1999
      assert.deepEqual([await withKey(key), await withKey(brief)], ['401 invalid_key', '200 none'])
      now = 2000
      assert.equal(await withKey(brief), '401 invalid_key')
    })

    it('puts the workspace into the log line of a refused request, if the key tells it', async () => {
      await serve()
      await get('/v1/objects/7', { 'x-api-key': key })
      await get('/v1/objects/7')
      const refusals = api.logged.map(line => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === 'request refused')
      assert.deepEqual(
        refusals.map(({ code, workspace }) => [code, workspace]),
        [
          ['object_not_found', 'shop'],
          ['key_required', undefined],
        ],
      )
    })

    it('notes which keys are used', async () => {
      await serve()
      await withKey(key)
      await withKey(SUPERUSER_KEY)
      assert.deepEqual(directory.usedKeys, ['key-0'])
    })

    for (const [what, unknown, looks] of [
      ['unknown keys', () => newKey('shop'), 3],
      ['texts that are no keys', () => 'x', 0],
    ] as const) {
      it(`answers 429 too_many_failures to ${what} beyond access.maxFailures, even at once, without a look at the database`, async () => {
        await serve({ maxFailures: 3, nowMs: () => 5000 })
        const tries = await Promise.all(Array.from({ length: 5 }, () => get('/v1/objects', { 'x-api-key': unknown() })))
        assert.deepEqual(tries.map(({ answer }) => answer).toSorted(), [
          ...Array(3).fill('401 invalid_key'),
          ...Array(2).fill('429 too_many_failures'),
        ])
        const refused = tries.find(({ answer }) => answer.startsWith('429'))
        assert.deepEqual([refused?.headers.get('retry-after'), directory.refreshes], ['60', looks])
        assert.equal(await withKey(key), '200 none')
      })
    }

    it('counts neither keys that are new nor tries while the database is away as failures', async () => {
      await serve({ maxFailures: 1 })
      directory.isDatabaseAway = true
      for (const _ of [1, 2]) assert.equal(await withKey(newKey('shop')), '503 storage_unavailable')
      directory.isDatabaseAway = false
      for (const _ of [1, 2]) assert.equal(await withKey(directory.addKey('shop', 'read', { isHidden: true })), '200 none')
    })
  })

  for (const [what, path, headers, wanted] of [
    ['both places that agree', '/v1/objects?workspace_id=shop', { 'x-workspace': 'shop' }, '200 none'],
    ['both places that differ', '/v1/objects?workspace_id=shop', { 'x-workspace': 'Shop' }, '400 bad_request'],
    ['the URL twice', '/v1/objects?workspace_id=shop&workspace_id=shop', {}, '400 bad_request'],
    ['a name in other case', '/v1/objects?workspace_id=SHOP', {}, '404 workspace_not_found'],
    ['an empty name', '/v1/objects?workspace_id=', {}, '404 workspace_not_found'],
    ['a name of an object', '/v1/objects?workspace_id=__proto__', {}, '404 workspace_not_found'],
    ['a NUL', '/v1/objects?workspace_id=shop%00', {}, '404 workspace_not_found'],
    ['a list', '/v1/objects?workspace_id[]=shop', {}, '400 invalid_parameter'],
  ] as const) {
    it(`answers ${wanted} to a workspace named in ${what}`, async () => {
      await serve({ mode: 'open', superuserKeys: [] })
      assert.equal((await get(path, headers)).answer, wanted)
    })
  }

  describe('with open access', () => {
    it('ignores what never was a key of ours, and refuses what looks like one', async () => {
      await serve({ mode: 'open', superuserKeys: [] })
      for (const headers of [
        { authorization: 'Bearer eyJhbGciOi.x.y' },
        { authorization: 'Basic dTpw', 'x-api-key': 'a, b' },
        { 'x-api-key': '' },
      ])
        assert.equal((await get('/v1/objects', headers)).answer, '200 none')
      assert.equal(await withKey(newKey('shop')), '401 invalid_key')
      assert.equal(
        (await get('/v1/objects?workspace_id=Shop', { 'x-api-key': key, authorization: 'Bearer other' })).answer,
        '404 not_found',
      )
    })

    for (const [what, headers, wanted] of [
      ['a page of another site', { 'Sec-Fetch-Site': 'cross-site' }, 403],
      ['a page of another origin', { Origin: 'https://evil.example' }, 403],
      ['a host name that points here', { Host: 'evil.example' }, 403],
      ['nobody but this machine', {}, 204],
    ] as const) {
      it(`answers ${wanted} to ${what} that would manage workspaces without a key`, async () => {
        api = await serveApi({ directory, moreRoutes: (['manage', 'superuser', 'read'] as const).map(standIn) })
        const statusOf = async (path: string, sent: Record<string, string>): Promise<number> => {
          const lines = Object.entries({ Host: 'localhost', Connection: 'close', ...sent }).map(([name, value]) => `${name}: ${value}\r\n`)
          return (await sendRaw(api.server.port, [`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`])).status
        }
        for (const path of ['/v1/stand-in/manage', '/v1/stand-in/superuser']) assert.equal(await statusOf(path, headers), wanted)
        assert.equal(await statusOf('/v1/stand-in/read', headers), 204)
        const manager = directory.addKey('shop', 'manage')
        assert.equal(await statusOf('/v1/stand-in/manage', { ...headers, 'X-API-Key': manager }), 204)
      })
    }

    it('is over as soon as there is a key of a superuser', async () => {
      await serve({ mode: 'open' })
      assert.equal((await get('/v1/objects')).answer, '401 key_required')
      assert.equal(await withKey(SUPERUSER_KEY), '200 none')
    })
  })
})

function swapCase(text: string): string {
  return text.replace(/[a-zA-Z]/g, letter => (letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()))
}
