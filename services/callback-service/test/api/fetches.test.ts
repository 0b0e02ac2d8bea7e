import assert from 'node:assert/strict'
import { checkAnswers } from '../../../../test/support/check-answers.ts'
import { adminPortRoutes, documentOf } from '../../../../test/support/routes.ts'
import { getFetches } from '../../api/callbacks/get-fetches.ts'
import { RecentFetches } from '../../domain/activity/recent-fetches.ts'
import type { CallbackView } from '../../domain/callback.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { DirectoryInMemory } from './gates/directory-in-memory.ts'
import { ACCEPTED_ID, serveApi } from './serve-api.ts'

const PATH = `/v1/callbacks/${ACCEPTED_ID}/fetches`
const CALLBACK: CallbackView = {
  ...{
    id: ACCEPTED_ID,
    workspace: 'default',
    state: 'completed',
    priority: 0,
    wish: null,
    attempts: 1,
    requestId: null,
    traceparent: null,
  },
  ...{ receivedAt: new Date(0), dueAt: new Date(0), finishedAt: new Date(1000), objectIds: [1n, 2n], unstored: [] },
}

describe('/v1/callbacks/:id/fetches', () => {
  let api: Awaited<ReturnType<typeof serveApi>>
  let recent: RecentFetches
  let nowMs: number
  let callback: CallbackView | undefined
  let worker: number | undefined

  beforeEach(() => {
    nowMs = 5000
    worker = 3
    callback = CALLBACK
    recent = new RecentFetches({ nowMs: () => nowMs })
  })

  afterEach(() => api.stop())

  async function serve(doubles: Parameters<typeof serveApi>[0] = {}, find = async () => callback): Promise<void> {
    const route = getFetches({
      find: async (workspace, id) => {
        const found = await find()
        return found?.workspace === workspace && found.id === id ? found : undefined
      },
      fetches: recent,
      databaseAt: ms => Date.UTC(2026, 0, 1) + ms,
      replica: () => ({ host: 'replica-1', pid: 4711, worker }),
    })
    api = await serveApi({ moreRoutes: [route], ...doubles })
    // The route belongs to the admin port, and so does its description.
    checkAnswers(api.url, await documentOf(adminPortRoutes()))
  }

  const get = (query = '', headers: Record<string, string> = {}): Promise<Response> => fetch(`${api.url}${PATH}${query}`, { headers })
  const body = async (): Promise<{ is_complete: boolean; fetches: unknown[] }> => (await get()).json() as never

  it('shows the fetches of a callback by the clock of the database, ids exact', async () => {
    const ticket = recent.begin(9_007_199_254_740_993n, { id: ACCEPTED_ID, attempt: 1 })
    recent.begin(-7n, { id: ACCEPTED_ID, attempt: 1 })
    nowMs = 7300.26
    recent.end(ticket, 'http_503', { leftMs: 5100.04, isShared: true })
    await serve()
    const head =
      `{"kind":"Fetches","id":"${ACCEPTED_ID}","href":"${PATH}","callback":{"kind":"Callback","id":"${ACCEPTED_ID}","href":"/v1/callbacks/${ACCEPTED_ID}"},` +
      `"replica":{"host":"replica-1","pid":4711,"worker":3},"is_complete":true,"fetches":[`
    const first = `{"kind":"Object","id":9007199254740993,"href":"/v1/objects/9007199254740993","attempt":1,"started_at":"2026-01-01T00:00:05.000Z",`
    const second = `{"kind":"Object","id":-7,"href":"/v1/objects/-7","attempt":1,"started_at":"2026-01-01T00:00:05.000Z",`
    assert.equal(
      await (await get()).text(),
      `${head}${first}"waited_ms":100,"duration_ms":2300.3,"result":"http_503","shared":true},` +
        `${second}"waited_ms":null,"duration_ms":null,"result":null,"shared":false}]}`,
    )
  })

  it('waited no time if it joined a fetch that had left before', async () => {
    recent.end(recent.begin(1n, { id: ACCEPTED_ID, attempt: 1 }), 'stored', { leftMs: 4000, isShared: true })
    await serve()
    assert.deepEqual(
      (await body()).fetches.map(fetch => (fetch as { waited_ms: number }).waited_ms),
      [0],
    )
  })

  it('lets others have their turn while it writes thousands, one answer at a time', async () => {
    for (let i = 0n; i < 5000n; i += 1n) recent.begin(i, { id: ACCEPTED_ID, attempt: 1 })
    await serve()
    let asked = 0
    let turns = 0
    const { of } = recent
    recent.of = id => {
      asked += 1
      const askedBefore = asked
      for (let i = 1; i <= 10; i += 1) afterTurns(i, () => asked === askedBefore && turns++)
      return of.call(recent, id)
    }
    const answers = await Promise.all(Array.from({ length: 3 }, () => get()))
    assert.deepEqual(
      await Promise.all(answers.map(async answer => ((await answer.json()) as { fetches: unknown[] }).fetches.length)),
      [5000, 5000, 5000],
    )
    assert.equal(turns, 30)
  })

  it('refuses the seventeenth request of a workspace at a time', async () => {
    for (let i = 0n; i < 5000n; i += 1n) recent.begin(i, { id: ACCEPTED_ID, attempt: 1 })
    const found = Promise.withResolvers<CallbackView>()
    let asked = 0
    await serve({}, () => {
      asked += 1
      if (asked === 17) found.resolve(CALLBACK)
      return found.promise
    })
    const answers = await Promise.all(Array.from({ length: 17 }, () => get()))
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [...Array<number>(16).fill(200), 503])
  })

  it('is empty if another replica made all fetches, and says that they are not all', async () => {
    worker = undefined
    await serve()
    const { is_complete, fetches, ...rest } = (await body()) as { is_complete: boolean; fetches: unknown[]; replica?: unknown }
    assert.deepEqual([is_complete, fetches, rest.replica], [false, [], { host: 'replica-1', pid: 4711, worker: null }])
  })

  it('is complete if nothing has been fetched yet, or there is nothing to fetch', async () => {
    await serve()
    for (const changes of [{ attempts: 0 }, { attempts: 1, objectIds: [] }]) {
      callback = { ...CALLBACK, ...changes }
      assert.equal((await body()).is_complete, true)
    }
  })

  it('is not complete if a later attempt ran elsewhere', async () => {
    recent.begin(1n, { id: ACCEPTED_ID, attempt: 1 })
    callback = { ...CALLBACK, attempts: 2 }
    await serve()
    assert.equal((await body()).is_complete, false)
  })

  it('leads to the objects of its workspace', async () => {
    const directory = new DirectoryInMemory()
    directory.addWorkspace('shop')
    callback = { ...CALLBACK, workspace: 'shop' }
    recent.begin(1n, { id: ACCEPTED_ID, attempt: 1 })
    await serve({ directory })
    assert.match(await (await get('?workspace_id=shop')).text(), /"href":"\/v1\/objects\/1\?workspace_id=shop"/)
  })

  it('finds the callback in capital letters too', async () => {
    recent.begin(1n, { id: ACCEPTED_ID, attempt: 1 })
    await serve()
    const response = await fetch(
      `${api.url}${PATH.toUpperCase().replace('/V1/CALLBACKS', '/v1/callbacks').replace('/FETCHES', '/fetches')}`,
    )
    assert.equal(((await response.json()) as { fetches: unknown[] }).fetches.length, 1)
  })

  it('is not found for the callback of another workspace, whoever asks', async () => {
    const directory = new DirectoryInMemory()
    directory.addWorkspace('shop')
    const key = directory.addKey('shop', 'read')
    recent.begin(1n, { id: ACCEPTED_ID, attempt: 1 })
    await serve({ directory, access: { mode: 'keys' } })
    const response = await get('', { 'x-api-key': key })
    assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [404, 'callback_not_found'])
  })

  it('needs a key that may read', async () => {
    const directory = new DirectoryInMemory()
    await serve({ directory, access: { mode: 'keys' } })
    assert.deepEqual(
      [
        (await get()).status,
        (await get('', { 'x-api-key': directory.addKey('default', 'send') })).status,
        (await get('', { 'x-api-key': directory.addKey('default', 'read') })).status,
      ],
      [401, 404, 200],
    )
  })

  it('cannot be read while the database is away', async () => {
    await serve({}, () => Promise.reject(new StorageUnavailableError('the database is away')))
    assert.equal((await get()).status, 503)
  })

  for (const [path, status] of [
    ['/v1/callbacks/7/fetches', 400],
    [`${PATH}?limit=3`, 400],
  ] as const) {
    it(`answers ${status}: ${path.slice(0, 30)}`, async () => {
      await serve()
      assert.equal((await fetch(`${api.url}${path}`)).status, status)
    })
  }
})

/** Runs something after some turns of the event loop. */
function afterTurns(turns: number, run: () => void): void {
  if (turns === 0) run()
  else setImmediate(() => afterTurns(turns - 1, run))
}
