import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { until } from '../../../../../test/support/eventually.ts'
import { serveApi } from '../serve-api.ts'
import { DirectoryInMemory } from './directory-in-memory.ts'

const ID = '01a2012d-e90a-70df-bfc6-c43b082c5343'

describe('a request whose body comes slowly', () => {
  let directory: DirectoryInMemory
  let api: Awaited<ReturnType<typeof serveApi>>
  let nowMs: number
  let made: number

  beforeEach(async () => {
    directory = new DirectoryInMemory()
    directory.addWorkspace('shop')
    nowMs = 0
    made = 0
    api = await serveApi({
      directory,
      access: { mode: 'keys', databaseNowMs: () => nowMs },
      keys: {
        list: async () => [],
        create: async (workspace, key) => {
          made += 1
          const listed = { ...key, id: ID, workspace, createdAt: new Date(0), lastUsedAt: null }
          return { key: `ab_shop_${'x'.repeat(43)}`, listed }
        },
        delete: async () => true,
      },
    })
  })

  afterEach(() => api.stop())

  /** Sends half of a body, does something when the key was checked, and sends the rest. @returns status and code */
  async function ask(path: string, key: string, body: string, between: () => void): Promise<string> {
    const headers = { 'x-api-key': key, 'content-type': 'application/json', 'content-length': body.length }
    const sent = request(`${api.url}${path}`, { method: 'POST', headers })
    sent.write(body.slice(0, 5))
    await until(() => directory.usedKeys.length === 1)
    between()
    sent.end(body.slice(5))
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const { code = 'none' } = JSON.parse(await text(response)) as { code?: string }
    return `${response.statusCode} ${code}`
  }

  const expire = (): void => {
    nowMs = 1000
  }
  const archive = (): void => directory.addWorkspace('shop', { archivedAt: new Date(0) })

  for (const [path, body, changes] of [
    [
      '/callback',
      '{"object_ids":[1]}',
      [
        ['nothing changes', () => undefined, '202 none'],
        ['its key is revoked', (key: string) => directory.revoke(key), '401 invalid_key'],
        ['its key expires', expire, '401 invalid_key'],
        ['its workspace is archived', archive, '409 workspace_archived'],
      ],
    ],
    [
      '/v1/workspaces/shop/keys',
      '{"role":"manage"}',
      [
        ['nothing changes', () => undefined, '201 none'],
        ['its key is revoked', (key: string) => directory.revoke(key), '401 invalid_key'],
        ['its key expires', expire, '401 invalid_key'],
        ['its workspace is archived', archive, '201 none'],
      ],
    ],
  ] as const) {
    for (const [what, between, wanted] of changes) {
      it(`to ${path} gets ${wanted} if ${what} meanwhile`, async () => {
        const key = directory.addKey('shop', 'manage', { expiresAt: new Date(1000) })
        assert.equal(await ask(path, key, body, () => between(key)), wanted)
        assert.equal(api.accepted.length + made, Number(wanted.endsWith('none')))
      })
    }
  }
})
