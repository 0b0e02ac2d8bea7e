import assert from 'node:assert/strict'
import { serveApi } from '../serve-api.ts'
import { DirectoryInMemory } from './directory-in-memory.ts'

const SUPERUSER_KEY = 'superuser-'.repeat(4)
const ID = '01890a5d-ac96-774b-bcce-b302099a8057'

interface Line {
  readonly msg: string
  readonly [field: string]: unknown
}

describe('the log of changes', () => {
  let api: Awaited<ReturnType<typeof serveApi>>
  let directory: DirectoryInMemory
  let key: string
  let isFlushed: boolean

  beforeEach(async () => {
    directory = new DirectoryInMemory()
    directory.addWorkspace('shop')
    key = directory.addKey('shop', 'manage')
    isFlushed = true
    api = await serveApi({
      directory,
      access: { mode: 'keys', superuserKeys: [SUPERUSER_KEY] },
      steering: { cancel: async () => 'pending', flush: async () => isFlushed },
    })
  })

  afterEach(() => api.stop())

  async function ask(method: string, path: string, apiKey = key): Promise<void> {
    const response = await fetch(`${api.url}${path}`, { method, headers: { 'x-api-key': apiKey } })
    await response.text()
  }
  /** Stops the port, so that every request has ended. */
  async function changes(): Promise<object[]> {
    await api.stop()
    return api.logged
      .map(line => JSON.parse(line) as Line)
      .filter(({ msg }) => msg === 'request to change something answered')
      .map(({ method, path, workspace, role, key_id, status }) => ({ method, path, workspace, role, key_id, status }))
  }

  it('names the key, or the superuser, that changed something', async () => {
    await ask('DELETE', `/v1/callbacks/${ID}`)
    await ask('DELETE', `/v1/callbacks/${ID}?workspace_id=shop`, SUPERUSER_KEY)
    const change = { method: 'DELETE', path: `/v1/callbacks/${ID}`, workspace: 'shop', status: 204 }
    assert.deepEqual(await changes(), [
      { ...change, role: 'manage', key_id: 'key-0' },
      { ...change, role: 'superuser', key_id: undefined },
    ])
  })

  it('has a change that failed half-way on our side', async () => {
    isFlushed = false
    await ask('POST', '/v1/callbacks/flush')
    const flush = { method: 'POST', path: '/v1/callbacks/flush', workspace: 'shop', role: 'manage', key_id: 'key-0', status: 503 }
    assert.deepEqual(await changes(), [flush])
  })

  it('has neither reads nor what was refused', async () => {
    await ask('GET', '/v1/operations')
    await ask('DELETE', '/v1/callbacks/7')
    await ask('DELETE', `/v1/callbacks/${ID}`, directory.addKey('shop', 'read'))
    assert.deepEqual(await changes(), [])
  })
})
