import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../../../../test/support/eventually.ts'
import type { Inbox } from '../../api/callbacks/post-callback.ts'
import { readLimit } from '../../api/gates/read-limit.ts'
import type { CallbackState, CallbackView } from '../../domain/callback.ts'
import { CallbackWaiters } from '../../workers/callback-waiters.ts'
import { logger } from '../workers/silent-logger.ts'
import { DirectoryInMemory } from './gates/directory-in-memory.ts'
import { ACCEPTED_ID, serveApi } from './serve-api.ts'

type Doubles = NonNullable<Parameters<typeof serveApi>[0]>

describe('waiting for the end of a callback', () => {
  let api: Awaited<ReturnType<typeof serveApi>>
  let waiters: CallbackWaiters
  let state: CallbackState
  let isReplay: boolean
  let reads: number

  beforeEach(() => {
    state = 'pending'
    isReplay = false
    reads = 0
  })

  afterEach(async () => {
    waiters.stop()
    await waiters.looking.stop()
    await api.stop()
  })

  const inbox: Inbox = {
    waitSeconds: 0,
    accept: async () => {
      const forecast = { backlog: 3, etaMs: 2000 }
      return { id: ACCEPTED_ID, receivedAt: new Date(0), isReplay, durability: 'database', forecast: isReplay ? undefined : forecast }
    },
  }

  const view = (): CallbackView => ({
    id: ACCEPTED_ID,
    workspace: 'default',
    state,
    attempts: 1,
    priority: 0,
    wish: null,
    requestId: null,
    traceparent: null,
    receivedAt: new Date(0),
    dueAt: new Date(0),
    finishedAt: state === 'pending' ? null : new Date(1000),
    objectIds: [1n],
    unstored: [],
  })

  async function start(doubles: Doubles = {}, max = 10): Promise<void> {
    waiters = new CallbackWaiters({ max, findFinished: async () => (state === 'pending' ? [] : [view()]), logger })
    waiters.looking.start()
    const findCallback = async () => {
      reads += 1
      return view()
    }
    api = await serveApi({ inbox, waiters, findCallback, ...doubles })
  }

  const post = (prefer: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${api.url}/callback`, {
      method: 'POST',
      body: '{"object_ids":[1]}',
      headers: { 'content-type': 'application/json', prefer, ...headers },
    })
  const get = (wait: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${api.url}/v1/callbacks/${ACCEPTED_ID}?wait=${wait}`, { headers })

  const waiting = (count: number): Promise<void> => eventually(`${count} wait`, () => waiters.count === count)

  function finish(as: CallbackState = 'completed'): void {
    state = as
    waiters.onEvent({ event: 'settled', id: ACCEPTED_ID, workspace: 'default', attempt: 1, state, objects: 1, waitedMs: 0, workedMs: 0 })
  }

  /** @returns status, state, and what the answer says of the preference */
  async function shape(response: Promise<Response>): Promise<unknown[]> {
    const { status, headers, json } = await response.then(async one => ({
      status: one.status,
      headers: one.headers,
      json: await one.json(),
    }))
    return [status, (json as { state: string }).state, headers.get('preference-applied')]
  }

  describe('POST /callback with Prefer: wait', () => {
    for (const end of ['completed', 'failed', 'cancelled'] as const)
      it(`answers 200 with the callback as a read shows it, once it is ${end}`, async () => {
        await start()
        const answer = post('wait=30')
        await waiting(1)
        finish(end)
        const response = await answer
        assert.deepEqual([response.status, response.headers.get('preference-applied')], [200, 'wait=30'])
        assert.equal(response.headers.get('location'), `/v1/callbacks/${ACCEPTED_ID}`)
        assert.deepEqual(await response.json(), await (await get('0')).json())
      })

    it('answers 202 without a forecast if the callback is not finished in time', async () => {
      await start()
      const response = await post('wait=1')
      assert.deepEqual([response.status, response.headers.get('preference-applied')], [202, 'wait=1'])
      const { state: shown, backlog, eta_ms } = (await response.json()) as Record<string, unknown>
      assert.deepEqual([shown, backlog, eta_ms], ['pending', null, null])
    })

    it('answers a replay of a finished callback with 200 at once', async () => {
      await start()
      state = 'completed'
      isReplay = true
      const response = await post('wait=30')
      assert.deepEqual([response.status, response.headers.get('idempotency-replayed')], [200, 'true'])
    })

    for (const prefer of ['wait=0', 'wait=-1', 'wait=1e9', 'wait=5.5', 'wait', 'respond-async', 'wait=x, wait=30'])
      it(`answers 202 at once to ${prefer}`, async () => {
        await start()
        const response = await post(prefer)
        assert.deepEqual([response.status, response.headers.get('preference-applied')], [202, null])
        const { backlog, eta_ms } = (await response.json()) as Record<string, unknown>
        assert.deepEqual([backlog, eta_ms], [3, 2000])
      })

    for (const prefer of ['wait=1000000000', 'wait="30"', 'respond-async, wait=30', 'foo; bar="wait=1", WAIT=30'])
      it(`waits for 30 seconds at most with ${prefer}`, async () => {
        await start()
        const answer = post(prefer)
        await waiting(1)
        finish()
        assert.deepEqual(await shape(answer), [200, 'completed', 'wait=30'])
      })

    it('takes the first of several headers', async () => {
      await start()
      const headers = new Headers({ 'content-type': 'application/json' })
      for (const prefer of ['return=minimal', 'wait=7', 'wait=8']) headers.append('prefer', prefer)
      const answer = fetch(`${api.url}/callback`, { method: 'POST', body: '{"object_ids":[1]}', headers })
      await waiting(1)
      finish()
      assert.deepEqual(await shape(answer), [200, 'completed', 'wait=7'])
    })

    it('answers 202 at once to those for whom there is no place', async () => {
      await start({}, 2)
      const answers = [post('wait=30'), post('wait=30')]
      await waiting(2)
      assert.deepEqual(await shape(post('wait=30')), [202, 'pending', null])
      finish()
      for (const answer of answers) assert.deepEqual(await shape(answer), [200, 'completed', 'wait=30'])
    })

    it('gives up the place of a sender whose connection is lost', async () => {
      await start()
      const socket = connect(api.server.port, '127.0.0.1')
      await once(socket, 'connect')
      const head = 'POST /callback HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nPrefer: wait=30\r\nContent-Length: 18'
      socket.write(`${head}\r\n\r\n{"object_ids":[1]}`)
      await waiting(1)
      socket.resetAndDestroy()
      await waiting(0)
      assert.deepEqual(api.outcomes, ['accepted'])
    })

    it('counts the callback when it is accepted, not when the wait ends', async () => {
      await start()
      const answer = post('wait=30')
      await waiting(1)
      assert.deepEqual(api.outcomes, ['accepted'])
      finish()
      await answer
      assert.deepEqual(api.outcomes, ['accepted'])
    })

    it('counts only the time until the callback is accepted', async () => {
      await start({ inbox: { ...inbox, accept: callback => sleep(60).then(() => inbox.accept(callback)) } })
      const answer = post('wait=30')
      await waiting(1)
      await sleep(200)
      finish()
      await answer
      const [took = 0] = api.tookMs
      assert.ok(took >= 59 && took < 200, `${took} ms`)
    })

    it('tells a sender whose key is revoked meanwhile only that the callback was accepted', async () => {
      const directory = new DirectoryInMemory()
      const key = directory.addKey('default', 'send')
      await start({ directory, access: { mode: 'keys' } })
      const answer = post('wait=30', { 'x-api-key': key })
      await waiting(1)
      directory.revoke(key)
      finish()
      assert.deepEqual(await shape(answer), [202, 'pending', 'wait=30'])
    })

    it('answers those that wait at once when the service stops', async () => {
      await start()
      const answer = post('wait=30')
      await waiting(1)
      waiters.stop()
      assert.deepEqual(await shape(answer), [202, 'pending', 'wait=30'])
      assert.deepEqual(await shape(post('wait=30')), [202, 'pending', null])
    })
  })

  describe('GET /v1/callbacks/:id?wait=', () => {
    it('answers when the callback is finished, with one read before it waits', async () => {
      await start()
      const answer = get('30')
      await waiting(1)
      finish()
      assert.deepEqual(await shape(answer), [200, 'completed', null])
      assert.equal(reads, 1)
    })

    it('answers at once if the callback is finished, or nobody else may wait', async () => {
      await start({}, 0)
      assert.deepEqual(await shape(get('30')), [200, 'pending', null])
      state = 'failed'
      assert.deepEqual(await shape(get('30')), [200, 'failed', null])
    })

    it('answers with the state at the end of the wait if the callback is not finished in time', async () => {
      await start()
      const answer = get('1')
      await waiting(1)
      assert.deepEqual(await shape(answer), [200, 'pending', null])
      assert.equal(reads, 2)
    })

    it('answers 404 if the callback is deleted while the reader waits', async () => {
      let isThere = true
      await start({ findCallback: async () => (isThere ? view() : undefined) })
      const answer = get('1')
      await waiting(1)
      isThere = false
      const response = await answer
      assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [404, 'callback_not_found'])
    })

    it('answers 401 if the key is revoked while the reader waits', async () => {
      const directory = new DirectoryInMemory()
      const key = directory.addKey('default', 'read')
      await start({ directory, access: { mode: 'keys' } })
      const answer = get('30', { 'x-api-key': key })
      await waiting(1)
      directory.revoke(key)
      finish()
      const response = await answer
      assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [401, 'invalid_key'])
    })

    it('takes no place from other reads while it waits', async () => {
      const limited = readLimit(1)
      await start({ findCallback: () => limited(async () => view()) })
      const answer = get('30')
      await waiting(1)
      assert.deepEqual(await shape(get('0')), [200, 'pending', null])
      finish()
      await answer
    })

    for (const wait of ['-1', '31', '1e9', '5.5', '', '%225%22', '5&wait=6', '5&wiat=6'])
      it(`answers 400 to wait=${wait}`, async () => {
        await start()
        const response = await get(wait)
        assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [400, 'invalid_parameter'])
      })
  })
})
