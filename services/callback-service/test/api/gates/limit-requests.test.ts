import assert from 'node:assert/strict'
import { eventually } from '../../../../../test/support/eventually.ts'
import { SenderSignature } from '../../../adapters/sender-signature.ts'
import type { Limits } from '../../../domain/workspaces/workspace.ts'
import { ACCEPTED_ID, serveApi } from '../serve-api.ts'
import { DirectoryInMemory } from './directory-in-memory.ts'

describe('the limits of a workspace', () => {
  let directory: DirectoryInMemory
  let api: Awaited<ReturnType<typeof serveApi>>

  beforeEach(() => {
    directory = new DirectoryInMemory()
  })

  afterEach(() => api.stop())

  const limit = (limits: Partial<Limits>): void => directory.addWorkspace('shop', { limits })

  interface Seen {
    readonly answer: string
    readonly headers: Headers
  }

  async function send(path: string, init: RequestInit = {}): Promise<Seen> {
    const response = await fetch(`${api.url}${path}`, { ...init, headers: { 'x-workspace': 'shop', ...init.headers } })
    const text = await response.text()
    return { answer: `${response.status} ${(JSON.parse(text || '{}') as { code?: string }).code ?? 'none'}`, headers: response.headers }
  }

  const read = (): Promise<Seen> => send('/v1/objects')
  const post = (body = '{"object_ids":[1]}', headers: Record<string, string> = {}): Promise<Seen> =>
    send('/callback', { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } })
  const rateOf = ({ headers }: Seen): (string | null)[] => ['ratelimit-policy', 'ratelimit', 'retry-after'].map(name => headers.get(name))

  describe('requests_per_second', () => {
    it('lets a burst through, then answers 429 too_many_requests until there is room, and says so on every answer', async () => {
      let now = 5000
      limit({ requestsPerSecond: 2 })
      api = await serveApi({ directory, limits: { nowMs: () => now } })
      const seen = [await read(), await post('nonsense'), await post()]
      assert.deepEqual(
        seen.map(({ answer }) => answer),
        ['200 none', '400 invalid_json', '429 too_many_requests'],
      )
      assert.deepEqual(seen.map(rateOf), [
        ['"default";q=2;w=1', '"default";r=1;t=1', null],
        ['"default";q=2;w=1', '"default";r=0;t=1', null],
        ['"default";q=2;w=1', '"default";r=0;t=1', '1'],
      ])
      now += 500
      assert.equal((await post()).answer, '202 none')
    })

    it('is named in the log with the workspace that reached it', async () => {
      limit({ requestsPerSecond: 1 })
      api = await serveApi({ directory, limits: { nowMs: () => 5000 } })
      await read()
      await read()
      const { msg, code, workspace } = JSON.parse(api.logged.at(-1) ?? '{}') as Record<string, unknown>
      assert.deepEqual([msg, code, workspace], ['request refused', 'too_many_requests', 'shop'])
    })

    it('has a burst of its own, and windows of whole seconds', async () => {
      limit({ requestsPerSecond: 0.1, burst: 3 })
      api = await serveApi({ directory, limits: { nowMs: () => 5000 } })
      assert.deepEqual(rateOf(await read()), ['"default";q=3;w=30', '"default";r=2;t=10', null])
      await read()
      await read()
      assert.deepEqual(rateOf(await read()), ['"default";q=3;w=30', '"default";r=0;t=30', '10'])
    })

    it('is shared by the replicas', async () => {
      let now = 5000
      limit({ requestsPerSecond: 9 })
      api = await serveApi({ directory, limits: { nowMs: () => now, replicas: () => 3 } })
      const answers = [await read(), await read(), await read(), await read()]
      assert.deepEqual(
        answers.map(({ answer }) => answer),
        [...Array(3).fill('200 none'), '429 too_many_requests'],
      )
      now += 340
      const later = [await read(), await read()]
      assert.deepEqual(
        later.map(({ answer }) => answer),
        ['200 none', '429 too_many_requests'],
      )
    })

    it('applies from the next request on when it changes', async () => {
      let now = 5000
      limit({ requestsPerSecond: 1 })
      api = await serveApi({ directory, limits: { nowMs: () => now } })
      await read()
      assert.equal((await read()).answer, '429 too_many_requests')
      limit({ requestsPerSecond: 1000 })
      now += 1
      assert.equal((await read()).answer, '200 none')
      limit({})
      assert.deepEqual(rateOf(await read()), [null, null, null])
    })

    it('counts neither health, nor other workspaces, nor default', async () => {
      limit({ requestsPerSecond: 1 })
      directory.addWorkspace('lab', { limits: { requestsPerSecond: 1 } })
      api = await serveApi({ directory, limits: { nowMs: () => 5000 } })
      await read()
      assert.equal((await send('/livez')).answer, '200 none')
      assert.equal((await send('/v1/objects', { headers: { 'x-workspace': 'lab' } })).answer, '200 none')
      assert.deepEqual(rateOf(await send('/v1/objects', { headers: { 'x-workspace': 'default' } })), [null, null, null])
    })
  })

  describe('active_requests', () => {
    /** Serves an inbox that holds callbacks until it is told to go on. */
    async function serveSlowly(replicas = 1) {
      const waiting: (() => void)[] = []
      const arrivals: (() => void)[] = []
      api = await serveApi({
        directory,
        limits: { replicas: () => replicas },
        inbox: {
          waitSeconds: 0,
          accept: async () => {
            arrivals.shift()?.()
            await new Promise<void>(resolve => waiting.push(resolve))
            return { id: ACCEPTED_ID, receivedAt: new Date(0), isReplay: false, durability: 'database', forecast: undefined }
          },
        },
      })
      const arrival = (): Promise<void> => new Promise(resolve => arrivals.push(resolve))
      return { waiting, arrival }
    }

    it('answers 429 too_many_active while as many are under way, and lets the next through when one ends', async () => {
      limit({ activeRequests: 1 })
      const { waiting, arrival } = await serveSlowly()
      const arrived = arrival()
      const first = post()
      await arrived
      const refused = await read()
      assert.deepEqual([refused.answer, refused.headers.get('retry-after')], ['429 too_many_active', '1'])
      waiting.shift()?.()
      assert.equal((await first).answer, '202 none')
      assert.equal((await read()).answer, '200 none')
    })

    it('forgets a caller that goes away', async () => {
      limit({ activeRequests: 1 })
      const { waiting, arrival } = await serveSlowly()
      const [arrived, leaving] = [arrival(), new AbortController()]
      const first = send('/callback', {
        method: 'POST',
        body: '{"object_ids":[]}',
        headers: { 'content-type': 'application/json' },
        signal: leaving.signal,
      })
      await arrived
      leaving.abort()
      await assert.rejects(first)
      const deadline = performance.now() + 5000
      let last = await read()
      while (last.answer !== '200 none' && performance.now() < deadline) last = await read()
      assert.equal(last.answer, '200 none')
      waiting.shift()?.()
    })

    it('does not count a caller that left while its key was looked up', async () => {
      limit({ activeRequests: 1 })
      const looked = Promise.withResolvers<void>()
      const looking = Promise.withResolvers<void>()
      directory.refresh = () => {
        looking.resolve()
        return looked.promise
      }
      api = await serveApi({ directory })
      const leaving = new AbortController()
      const key = directory.addKey('shop', 'read', { isHidden: true })
      const first = send('/v1/objects', { headers: { 'x-api-key': key }, signal: leaving.signal })
      await looking.promise
      leaving.abort()
      await assert.rejects(first)
      await eventually('the service has noticed', () => api.measured.some(({ status }) => status === 499))
      directory.reveal()
      looked.resolve()
      assert.equal((await read()).answer, '200 none')
    })

    it('is shared by the replicas', async () => {
      limit({ activeRequests: 3 })
      const { waiting, arrival } = await serveSlowly(2)
      const arrived = arrival()
      const first = post()
      await arrived
      assert.equal((await read()).answer, '429 too_many_active')
      waiting.shift()?.()
      assert.equal((await first).answer, '202 none')
    })

    it('leaves at least one to each replica', async () => {
      limit({ activeRequests: 2 })
      await serveSlowly(5)
      assert.equal((await read()).answer, '200 none')
    })
  })

  describe('unfinished_callbacks', () => {
    it('answers 429 backlog_full to callbacks with the time that it takes, and lets reads through', async () => {
      limit({ unfinishedCallbacks: 10 })
      let count = 10
      api = await serveApi({ directory, limits: { waitSeconds: (workspace, max) => (workspace === 'shop' && count >= max ? 6.2 : 0) } })
      const refused = await post()
      assert.deepEqual([refused.answer, refused.headers.get('retry-after')], ['429 backlog_full', '7'])
      assert.equal((await read()).answer, '200 none')
      count = 9
      assert.equal((await post()).answer, '202 none')
    })
  })

  it('make bodies and callbacks smaller, never larger', async () => {
    limit({ bodyBytes: 40, objectIds: 2 })
    api = await serveApi({ directory, maxBodyBytes: 100 })
    assert.equal((await post('{"object_ids":[1,2]}')).answer, '202 none')
    assert.equal((await post('{"object_ids":[1,2,3]}')).answer, '422 too_many_ids')
    assert.equal((await post(`{"object_ids":[1]${' '.repeat(30)}}`)).answer, '413 body_too_large')
    limit({ bodyBytes: 1000, objectIds: 5000 })
    assert.equal((await post(`{"object_ids":[1]${' '.repeat(100)}}`)).answer, '413 body_too_large')
  })

  it('let an archived workspace be read, and accept nothing', async () => {
    directory.addWorkspace('shop', { archivedAt: new Date(0) })
    api = await serveApi({ directory })
    assert.equal((await post()).answer, '409 workspace_archived')
    assert.equal((await read()).answer, '200 none')
    assert.deepEqual(api.accepted, [])
  })

  it('let each workspace have signing secrets of its own', async () => {
    directory.addWorkspace('shop', { signingSecrets: ['A'.repeat(32)] })
    api = await serveApi({
      directory,
      signatureOf: ({ signingSecrets }) => (signingSecrets.length > 0 ? new SenderSignature(signingSecrets) : undefined),
    })
    assert.equal((await post()).answer, '401 invalid_signature')
    assert.equal((await post(undefined, { 'x-workspace': 'default' })).answer, '202 none')
  })
})
