import assert from 'node:assert/strict'
import { workspaceNames, workspaceOfKey } from '../../web/workspaces.ts'

const KEY = `ab_my_shop_${'x'.repeat(43)}`

describe('workspaces to choose from', () => {
  it('are all pages of the list', async () => {
    const pages: Record<string, { items: { id: string }[]; next?: string }> = {
      'v1/workspaces?limit=1000': { items: [{ id: 'a' }], next: '/v1/workspaces?cursor=x' },
      '/v1/workspaces?cursor=x': { items: [{ id: 'b' }] },
    }
    assert.deepEqual(await workspaceNames(async path => pages[path] as { items: { id: string }[] }, ''), ['a', 'b'])
  })

  it('is its own for the key of a workspace', async () => {
    const refuse = () => Promise.reject(Object.assign(new Error('There is nothing here.'), { status: 404 }))
    assert.deepEqual(await workspaceNames(refuse, KEY), ['my_shop'])
  })

  it('are unknown while the service is away', async () => {
    await assert.rejects(
      workspaceNames(() => Promise.reject(new Error('away')), KEY),
      /away/,
    )
  })
})

describe('workspaceOfKey', () => {
  it('finds the name in the key', () => assert.equal(workspaceOfKey(KEY), 'my_shop'))

  it('is default without a key of a workspace', () => {
    assert.equal(workspaceOfKey(''), 'default')
    assert.equal(workspaceOfKey('a-superuser'), 'default')
  })
})
