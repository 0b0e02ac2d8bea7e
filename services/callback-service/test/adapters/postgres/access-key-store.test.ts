import assert from 'node:assert/strict'
import { hashOfKey } from '../../../adapters/access-key.ts'
import { isKeyShaped } from '../../../domain/workspaces/access-key.ts'
import { newWorkspaces, SEND_KEY } from './new-workspaces.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('AccessKeyStore', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
    await newWorkspaces(storage.open()).workspaces.create({ name: 'shop' })
  })

  beforeEach(() => storage.query('TRUNCATE access_keys'))

  after(() => storage.close())

  const open = () => newWorkspaces(storage.open()).keys
  const made = async (keys = open(), key: Parameters<typeof keys.create>[1] = SEND_KEY) => {
    const result = await keys.create('shop', key)
    assert.ok(result)
    return result
  }

  it('makes a key of its workspace, and lists it without the key', async () => {
    const keys = open()
    const expiresAt = new Date('2100-01-01T00:00:00.123Z')
    const { key, listed } = await made(keys, { role: 'manage', name: 'ops', expiresAt, agentId: null })
    assert.ok(isKeyShaped(key) && key.startsWith('ab_shop_'))
    assert.deepEqual(await keys.list('shop', { limit: 10, position: undefined }), [listed])
    const { id: _, createdAt, ...rest } = listed
    assert.deepEqual(rest, { workspace: 'shop', role: 'manage', name: 'ops', expiresAt, lastUsedAt: null, agentId: null })
    assert.ok(Math.abs(createdAt.getTime() - Date.now()) < 5000)
  })

  it('writes no key into any column of any table', async () => {
    const { key } = await made()
    const random = key.slice('ab_shop_'.length)
    const bytes = Buffer.from(random, 'base64url')
    const tables = await storage.query<{ name: string }>(
      `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables WHERE table_schema = 'public'`,
    )
    assert.ok(tables.length > 6)
    for (const { name } of tables) {
      const rows = await storage.query<{ text: string }>(`SELECT t::text AS text FROM ${name} t`)
      const written = rows.map(({ text }) => text).join('\n')
      for (const part of [random, bytes.toString('hex'), bytes.toString('base64'), Buffer.from(key).toString('hex')]) {
        assert.ok(!written.includes(part), `${name} has the key`)
      }
    }
    const [row] = await storage.query<{ hash: Buffer }>('SELECT hash FROM access_keys')
    assert.deepEqual(row?.hash, hashOfKey(key))
  })

  it('knows nothing of a workspace that does not exist', async () => {
    const keys = open()
    assert.deepEqual(
      [
        await keys.create('nobody', SEND_KEY),
        await keys.list('nobody', { limit: 1, position: undefined }),
        await keys.delete('nobody', '01890a5d-ac96-774b-bcce-b302099a8057'),
      ],
      [undefined, undefined, false],
    )
  })

  it('deletes a key of its workspace once, and none of another workspace', async () => {
    const keys = open()
    const { id } = (await made(keys)).listed
    assert.deepEqual([await keys.delete('default', id), await keys.delete('shop', id), await keys.delete('shop', id)], [false, true, false])
    assert.deepEqual(await keys.list('shop', { limit: 10, position: undefined }), [])
  })

  it('keeps the bound when two replicas make keys at once', async () => {
    await storage.query(
      `INSERT INTO access_keys (id, workspace, role, hash) SELECT gen_random_uuid(), 'shop', 'send', sha256(n::text::bytea) FROM generate_series(1, 95) n`,
    )
    const replicas = [open(), open()]
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, (_, i) => (replicas[i % 2] as (typeof replicas)[0]).create('shop', SEND_KEY)),
    )
    const refused = outcomes.filter(outcome => outcome.status === 'rejected').map(({ reason }) => reason.code)
    assert.deepEqual([refused.length, [...new Set(refused)]], [7, ['too_many_keys']])
    assert.deepEqual(await storage.query('SELECT count(*)::int AS count FROM access_keys'), [{ count: 100 }])
  })

  it('lists the oldest first, goes on after each place, and back before it', async () => {
    const keys = open()
    const ids = [(await made(keys)).listed.id, (await made(keys)).listed.id, (await made(keys)).listed.id]
    const page = async (direction: 'after' | 'before', key: string) =>
      (await keys.list('shop', { limit: 1, position: { direction, key } }))?.map(({ id }) => id)
    assert.deepEqual(
      (await keys.list('shop', { limit: 10, position: undefined }))?.map(({ id }) => id),
      ids,
    )
    assert.deepEqual([await page('after', ids[0] as string), await page('before', ids[2] as string)], [[ids[1]], [ids[1]]])
  })

  it('notes a use only if the last known one is older than a minute, and counts no change', async () => {
    const keys = open()
    const { id } = (await made(keys)).listed
    const look = async (): Promise<unknown> =>
      (await storage.query('SELECT last_used_at, (SELECT number FROM access_revision) FROM access_keys'))[0]
    const lastUse = async () => (await keys.list('shop', { limit: 1, position: undefined }))?.[0]?.lastUsedAt
    await keys.touch([id, '01890a5d-ac96-774b-bcce-b302099a8057'])
    const first = await look()
    await keys.touch([id])
    assert.deepEqual(await look(), first)
    await storage.query(`UPDATE access_keys SET last_used_at = now() - interval '61 s'`)
    await keys.touch([id])
    assert.ok(Date.now() - ((await lastUse())?.getTime() ?? 0) < 5000)
  })

  it('notes uses of the same keys on two replicas at once', async () => {
    const ids: string[] = []
    const keys = open()
    for (let i = 0; i < 20; i += 1) ids.push((await made(keys)).listed.id)
    await Promise.all(Array.from({ length: 8 }, (_, i) => open().touch(i % 2 === 0 ? ids : ids.toReversed())))
    assert.deepEqual(await storage.query('SELECT count(*)::int AS count FROM access_keys WHERE last_used_at IS NULL'), [{ count: 0 }])
  })
})
