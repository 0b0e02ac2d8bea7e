import assert from 'node:assert/strict'
import { until } from '../../../../../test/support/eventually.ts'
import { BUILT_IN_DEFAULT } from '../../../domain/workspaces/default-workspace.ts'
import { serveApi } from '../serve-api.ts'
import { DirectoryInMemory } from './directory-in-memory.ts'

const SUPERUSER_KEY = 'superuser-'.repeat(4)

describe('the limit of changes under way', () => {
  let api: Awaited<ReturnType<typeof serveApi>>
  let keys: Readonly<Record<'shop' | 'lab' | 'superuser', string>>
  let begun: number
  let end: () => void

  beforeEach(async () => {
    const directory = new DirectoryInMemory()
    for (const name of ['shop', 'lab']) directory.addWorkspace(name)
    keys = { shop: directory.addKey('shop', 'manage'), lab: directory.addKey('lab', 'manage'), superuser: SUPERUSER_KEY }
    begun = 0
    const ended = Promise.withResolvers<void>()
    end = ended.resolve
    const unused = () => assert.fail('not asked')
    const find = async (name: string) => directory.find(name)
    api = await serveApi({
      directory,
      access: { mode: 'keys', superuserKeys: [SUPERUSER_KEY] },
      workspaces: {
        find,
        change: async () => {
          begun += 1
          await ended.promise
          return BUILT_IN_DEFAULT
        },
        list: unused,
        create: unused,
        archive: unused,
        restore: unused,
      },
      keys: { list: unused, create: unused, delete: async () => true },
    })
  })

  afterEach(async () => {
    end()
    await api.stop()
  })

  async function ask(who: keyof typeof keys, method: string, path: string, signal?: AbortSignal): Promise<string> {
    const response = await fetch(`${api.url}/v1/workspaces/${path}`, {
      method,
      headers: { 'x-api-key': keys[who], 'content-type': 'application/json' },
      ...(method === 'PATCH' && { body: '{"description":"x"}' }),
      ...(signal && { signal }),
    })
    const text = await response.text()
    return `${response.status} ${text === '' ? 'none' : ((JSON.parse(text) as { code?: string }).code ?? 'none')}`
  }

  const revoke = (who: keyof typeof keys, workspace: string) => ask(who, 'DELETE', `${workspace}/keys/01a2012d-e90a-70df-bfc6-c43b082c5343`)

  it('refuses further changes of a workspace alone, not those of others and of superusers', async () => {
    let refused = 0
    const changes = Array.from({ length: 64 }, async () => {
      if ((await ask('shop', 'PATCH', 'shop')) === '503 too_many_reads') refused += 1
    })
    await until(() => refused === 60)
    assert.equal(begun, 4)
    assert.equal(await revoke('shop', 'shop'), '503 too_many_reads')
    assert.equal(await revoke('superuser', 'shop'), '204 none')
    assert.equal(await revoke('lab', 'lab'), '204 none')
    assert.equal(await ask('shop', 'GET', 'shop'), '200 none')
    end()
    await Promise.all(changes)
    assert.equal(refused, 60)
    assert.equal(await revoke('shop', 'shop'), '204 none')
  })

  it('counts a change until it is made, even if its caller goes away', async () => {
    const leaving = new AbortController()
    const changes = Promise.allSettled(Array.from({ length: 4 }, () => ask('shop', 'PATCH', 'shop', leaving.signal)))
    await until(() => begun === 4)
    leaving.abort()
    await changes
    assert.equal(await revoke('shop', 'shop'), '503 too_many_reads')
  })

  it('lets superusers have 32 under way', async () => {
    const changes = Array.from({ length: 32 }, () => ask('superuser', 'PATCH', 'shop'))
    await until(() => begun === 32)
    assert.equal(await revoke('superuser', 'shop'), '503 too_many_reads')
    end()
    await Promise.all(changes)
  })
})
