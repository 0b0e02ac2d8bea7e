import assert from 'node:assert/strict'
import type { Operations } from '../../api/operations/operation-routes.ts'
import { IdempotencyKeyReusedError } from '../../domain/accepting/accept-errors.ts'
import { type Operation, type OperationPosition, TooManyOperationsError } from '../../domain/steering/operation.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import type { Caller } from '../../domain/workspaces/caller.ts'
import { BUILT_IN_DEFAULT } from '../../domain/workspaces/default-workspace.ts'
import { DirectoryInMemory } from './gates/directory-in-memory.ts'
import { serveApi } from './serve-api.ts'

const ID = '01890a5d-ac96-774b-bcce-b302099a8057'
const NOBODY = '01890a5d-ac96-774b-bcce-b302099a8058'
const shop = { ...BUILT_IN_DEFAULT, name: 'shop', archivedAt: new Date(0) }
const superuser: Caller = { role: 'superuser', workspace: shop, key: undefined }
const manager: Caller = { role: 'manage', workspace: shop, key: undefined }
const OPERATION: Operation & { readonly position: OperationPosition } = {
  id: ID,
  workspace: 'shop',
  change: { kind: 'retry', objects: 'missing', priority: -10 },
  filter: { state: 'failed', reason: 'timeout', objectId: 2n ** 62n, receivedAfter: new Date(1), receivedBefore: new Date(2) },
  isDryRun: false,
  ratePerSecond: 50,
  state: 'running',
  matched: 100,
  done: 50,
  skipped: 0,
  createdAt: new Date(0),
  finishedAt: null,
  position: { createdUs: '0', id: ID },
}
const BODY = {
  kind: 'Operation',
  id: ID,
  href: `/v1/operations/${ID}`,
  workspace: 'shop',
  change: OPERATION.change,
  filter: {
    state: 'failed',
    reason: 'timeout',
    object_id: 2 ** 62,
    received_after: '1970-01-01T00:00:00.001Z',
    received_before: '1970-01-01T00:00:00.002Z',
  },
  state: 'running',
  dry_run: false,
  matched: 100,
  done: 50,
  skipped: 0,
  rate_per_second: 50,
  eta_ms: 1000,
  created_at: '1970-01-01T00:00:00.000Z',
}

describe('/v1/operations', () => {
  let api: Awaited<ReturnType<typeof serveApi>>
  let seen: unknown[]

  afterEach(() => api.stop())

  async function serve(caller: Caller, doubles: Partial<Operations> = {}): Promise<void> {
    seen = []
    api = await serveApi({
      caller: () => caller,
      operations: {
        create: async (workspace, asked, key) => {
          seen.push([workspace, asked.change.kind, key])
          return { operation: OPERATION, isReplay: key === 'again' }
        },
        find: async (workspace, id) => (workspace === 'shop' && id === ID ? OPERATION : undefined),
        list: async (workspace, page) => {
          seen.push([workspace, page])
          return [OPERATION, { ...OPERATION, id: NOBODY, position: { createdUs: '7', id: NOBODY } }].slice(0, page.limit)
        },
        abort: async (workspace, id) => workspace === 'shop' && id === ID,
        ...doubles,
      },
    })
  }

  async function ask(method: string, path = '', body?: object, headers: Record<string, string> = {}) {
    const json = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } }
    const response = await fetch(`${api.url}/v1/operations${path}`, { method, headers, ...json })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, body: text === '' ? undefined : JSON.parse(text) }
  }

  it('starts an operation in the workspace of the caller, even if it is archived', async () => {
    await serve(manager)
    const { status, headers, body } = await ask('POST', '', { kind: 'retry' }, { 'idempotency-key': '"k"' })
    assert.deepEqual([status, headers.get('location'), headers.get('idempotency-replayed'), body], [202, BODY.href, null, BODY])
    assert.deepEqual(seen, [['shop', 'retry', 'k']])
  })

  it('says that an operation was started before', async () => {
    await serve(manager)
    const { status, headers } = await ask('POST', '', { kind: 'retry' }, { 'idempotency-key': 'again' })
    assert.deepEqual([status, headers.get('idempotency-replayed')], [202, 'true'])
  })

  for (const [error, status, code] of [
    [new TooManyOperationsError(), 409, 'too_many_operations'],
    [new IdempotencyKeyReusedError(), 422, 'idempotency_key_reused'],
    [new StorageUnavailableError('away'), 503, 'storage_unavailable'],
  ] as const) {
    it(`answers ${code} if the operation cannot be created`, async () => {
      await serve(manager, { create: () => Promise.reject(error) })
      const answer = await ask('POST', '', { kind: 'cancel' })
      assert.deepEqual([answer.status, answer.body.code], [status, code])
    })
  }

  for (const [body, code] of [
    [{ kind: 'retry', filter: { state: 'pending' } }, 'invalid_value'],
    [{ kind: 'retry', more: 1 }, 'unknown_member'],
    [{ kind: 'prioritise' }, 'missing_member'],
  ] as const) {
    it(`refuses ${JSON.stringify(body)} and starts nothing`, async () => {
      await serve(manager)
      const answer = await ask('POST', '', body)
      assert.deepEqual([answer.status, answer.body.code, seen], [422, code, []])
    })
  }

  it('refuses an idempotency key that is none', async () => {
    await serve(manager)
    const { status, body } = await ask('POST', '', { kind: 'retry' }, { 'idempotency-key': 'x'.repeat(256) })
    assert.deepEqual([status, body.code, seen], [400, 'invalid_idempotency_key', []])
  })

  it('shows an operation with links to its workspace, and exact ids', async () => {
    await serve(superuser)
    const { status, body, text } = await ask('GET', `/${ID}`)
    assert.deepEqual([status, body.href], [200, `/v1/operations/${ID}?workspace_id=shop`])
    assert.match(text, /"object_id":4611686018427387904,/)
  })

  it('aborts an operation', async () => {
    await serve(manager)
    assert.equal((await ask('DELETE', `/${ID}`)).status, 204)
  })

  for (const method of ['GET', 'DELETE']) {
    it(`answers 404 to ${method} of an operation of another workspace, and 400 if its id is none`, async () => {
      await serve(manager)
      const answers = [await ask(method, `/${NOBODY}`), await ask(method, '/7')]
      assert.deepEqual(
        answers.map(({ status, body }) => [status, body.code]),
        [
          [404, 'operation_not_found'],
          [400, 'invalid_id'],
        ],
      )
    })
  }

  it('lists operations with links that keep the workspace of a superuser', async () => {
    await serve(superuser)
    const { status, body } = await ask('GET', '?limit=1')
    assert.deepEqual([status, body.kind, body.size, body.items[0].id], [200, 'OperationList', 1, ID])
    assert.match(body.next, /^\/v1\/operations\?workspace_id=shop&limit=1&cursor=/)
    await fetch(`${api.url}${body.next}`)
    assert.deepEqual(seen, [
      ['shop', { limit: 2, position: undefined }],
      ['shop', { limit: 2, position: { direction: 'after', key: OPERATION.position } }],
    ])
  })

  for (const role of ['send', 'read'] as const) {
    it(`hides operations from a caller that may only ${role}`, async () => {
      const directory = new DirectoryInMemory()
      directory.addWorkspace('shop')
      const key = directory.addKey('shop', role)
      api = await serveApi({ directory, access: { mode: 'keys' } })
      const answers = [
        await ask('GET', '', undefined, { 'x-api-key': key }),
        await ask('POST', '', { kind: 'retry' }, { 'x-api-key': key }),
        await ask('DELETE', `/${ID}`, undefined, { 'x-api-key': key }),
      ]
      assert.deepEqual(
        answers.map(({ status, body }) => [status, body.code]),
        Array(3).fill([404, 'not_found']),
      )
    })
  }
})
