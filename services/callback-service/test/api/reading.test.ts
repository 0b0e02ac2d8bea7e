import assert from 'node:assert/strict'
import type { PageRequest } from '#foundation/http/paging.ts'
import { readLimit, turnLimit } from '../../api/gates/read-limit.ts'
import type { CallbackView, ListedCallback } from '../../domain/callback.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import type { ObjectView } from '../../domain/stored-object.ts'
import { ACCEPTED_ID, serveApi } from './serve-api.ts'

const at = new Date(0)
const time = at.toISOString()
const object = (id: bigint): ObjectView => ({
  id: String(id),
  online: true,
  lastSeenAt: time,
  storedAt: time,
  expiresAt: time,
  callbackId: ACCEPTED_ID,
})
const view = (changes: Partial<CallbackView>): CallbackView => ({
  id: ACCEPTED_ID,
  workspace: 'default',
  state: 'pending',
  priority: 0,
  wish: null,
  attempts: 0,
  objectIds: [1n, 2n, 9007199254740993n],
  unstored: undefined,
  requestId: null,
  traceparent: null,
  receivedAt: at,
  dueAt: at,
  finishedAt: null,
  ...changes,
})

describe('reading', () => {
  let api: Awaited<ReturnType<typeof serveApi>>

  afterEach(() => api.stop())

  async function get(
    path: string,
  ): Promise<{ status: number; text: string; body: Record<string, unknown>; link: string | null; retryAfter: string | null }> {
    const response = await fetch(`${api.url}${path}`)
    const text = await response.text()
    return {
      status: response.status,
      text,
      body: JSON.parse(text) as Record<string, unknown>,
      link: response.headers.get('link'),
      retryAfter: response.headers.get('retry-after'),
    }
  }

  describe('GET /v1/callbacks/:id', () => {
    it('says of each object what became of it, ids exact', async () => {
      api = await serveApi({
        findCallback: async () =>
          view({ state: 'completed', attempts: 1, finishedAt: at, unstored: [{ id: 2n, outcome: 'failed', reason: 'http_403' }] }),
      })
      const { status, text, body } = await get(`/v1/callbacks/${ACCEPTED_ID}`)
      assert.equal(status, 200)
      assert.equal(body['state'], 'completed')
      assert.deepEqual(
        (body['objects'] as { outcome: string; reason?: string }[]).map(({ outcome, reason }) => [outcome, reason]),
        [
          ['stored', undefined],
          ['failed', 'http_403'],
          ['stored', undefined],
        ],
      )
      assert.match(text, /"id":9007199254740993,/)
    })

    it('asks for an id in small letters, as the spool has it', async () => {
      const asked: string[] = []
      api = await serveApi({ findCallback: async (workspace, id) => void asked.push(workspace, id) })
      await get(`/v1/callbacks/${ACCEPTED_ID.toUpperCase()}`)
      assert.deepEqual(asked, ['default', ACCEPTED_ID])
    })

    it('calls every object pending before the first attempt has ended', async () => {
      api = await serveApi({ findCallback: async () => view({}) })
      const { body } = await get(`/v1/callbacks/${ACCEPTED_ID}`)
      assert.ok((body['objects'] as { outcome: string }[]).every(({ outcome }) => outcome === 'pending'))
    })

    for (const [what, path, status, code] of [
      ['an absent callback', `/v1/callbacks/${ACCEPTED_ID}`, 404, 'callback_not_found'],
      ['no UUID', '/v1/callbacks/17', 400, 'invalid_id'],
      ['a path that differs in case', `/V1/callbacks/${ACCEPTED_ID}`, 404, 'not_found'],
      ['a trailing slash', `/v1/callbacks/${ACCEPTED_ID}/`, 404, 'not_found'],
    ] as const) {
      it(`answers ${status} ${code} to ${what}`, async () => {
        api = await serveApi()
        const answer = await get(path)
        assert.deepEqual([answer.status, answer.body['code']], [status, code])
      })
    }
  })

  describe('GET /v1/objects', () => {
    it('gives an object, its id exact', async () => {
      api = await serveApi({ objects: { find: async (_, id) => object(id), list: async () => [] } })
      const { status, text } = await get('/v1/objects/-9223372036854775808')
      assert.equal(status, 200)
      assert.match(text, /"id":-9223372036854775808,/)
    })

    it('gives pages that name their neighbours: the first no previous one, the last no next one', async () => {
      const all = [1n, 2n, 3n, 4n, 5n]
      api = await serveApi({ objects: { find: async () => undefined, list: async (_filter, page) => pageOfIds(all, page).map(object) } })
      const first = await get('/v1/objects?limit=2&online=true')
      assert.deepEqual([idsOf(first.body), first.body['prev']], [[1, 2], undefined])
      assert.equal(first.link, `<${first.body['next']}>; rel="next"`)
      assert.match(String(first.body['next']), /^\/v1\/objects\?online=true&limit=2&cursor=[\w-]+$/)
      const second = await get(String(first.body['next']))
      assert.equal(second.link, `<${second.body['next']}>; rel="next", <${second.body['prev']}>; rel="prev"`)
      const third = await get(String(second.body['next']))
      assert.deepEqual([idsOf(third.body), third.body['next']], [[5], undefined])
      assert.equal(third.link, `<${third.body['prev']}>; rel="prev"`)
      const back = await get(String(third.body['prev']))
      assert.deepEqual([idsOf(back.body), back.body['next'] === undefined], [[3, 4], false])
      const start = await get(String(back.body['prev']))
      assert.deepEqual([idsOf(start.body), start.body['prev']], [[1, 2], undefined])
    })

    it('answers 400 to a cursor that was changed, cut short, made up or taken from another list', async () => {
      api = await serveApi({
        objects: { find: async () => undefined, list: async (_filter, page) => pageOfIds([1n, 2n], page).map(object) },
        listCallbacks: async () => [listed(1), listed(0)],
      })
      const cursorOf = async (path: string): Promise<string> =>
        new URL(String((await get(path)).body['next']), api.url).searchParams.get('cursor') ?? assert.fail('there is none')
      const cursor = await cursorOf('/v1/objects?limit=1')
      const foreign = await cursorOf('/v1/callbacks?limit=1')
      const other = Buffer.from(Buffer.from(cursor, 'base64url').toString().replace(/1$/, '2')).toString('base64url')
      for (const forged of [foreign, other, cursor.slice(0, -2), `${cursor}=`, `${cursor}A`, 'zzz', '', '%00']) {
        const { status, body } = await get(`/v1/objects?limit=1&cursor=${forged}`)
        assert.deepEqual([status, body['code']], [400, 'invalid_parameter'], forged)
        assert.ok(String(body['detail']).includes('"cursor"'), String(body['detail']))
      }
      assert.equal((await get(`/v1/objects?limit=1&cursor=${cursor}`)).status, 200)
    })

    for (const id of ['abc', '1.5', '9223372036854775808', '%00', '%2e%2e%2f', '01', '-0', '1e3']) {
      it(`answers 400 invalid_id to ${id}`, async () => {
        api = await serveApi()
        const { status, body } = await get(`/v1/objects/${id}`)
        assert.deepEqual([status, body['code']], [400, 'invalid_id'])
      })
    }

    it('answers 404 object_not_found to an id that is not stored', async () => {
      api = await serveApi()
      const { status, body } = await get('/v1/objects/5')
      assert.deepEqual([status, body['code']], [404, 'object_not_found'])
    })

    for (const [query, name] of [
      ['limit=0', 'limit'],
      ['limit=-1', 'limit'],
      ['limit=1e9', 'limit'],
      ['limit=1001', 'limit'],
      ['limit=abc', 'limit'],
      ['limit=1&limit=2', 'limit'],
      ['online=yes', 'online'],
      ['online=toString', 'online'],
      ['online=__proto__', 'online'],
      ['cursor=zzz', 'cursor'],
      ['after=1', 'after'],
      ['cursor[x]=1', 'cursor[x]'],
      ['colour=red', 'colour'],
    ] as const) {
      it(`answers 400 invalid_parameter to ${query}, naming it`, async () => {
        api = await serveApi()
        const { status, body } = await get(`/v1/objects?${query}`)
        assert.deepEqual([status, body['code']], [400, 'invalid_parameter'])
        assert.ok(String(body['detail']).includes(`"${name}"`), String(body['detail']))
      })
    }

    it('says which page it is, without what was sent in vain', async () => {
      api = await serveApi()
      const { body } = await get(`/v1/objects?online=false&${'&'.repeat(500)}limit=5`)
      assert.equal(body['href'], '/v1/objects?online=false&limit=5')
    })

    it('gives exact ids, and whether an object was never seen, in pages too', async () => {
      const items = [{ ...object(9007199254740993n), lastSeenAt: null }, object(-(2n ** 63n))]
      api = await serveApi({ objects: { find: async () => undefined, list: async () => items } })
      const { text } = await get('/v1/objects')
      const of = (id: string, seen: string): string =>
        `{"kind":"Object","href":"/v1/objects/${id}","id":${id},"online":true,"last_seen_at":${seen},` +
        '"stored_at":"1970-01-01T00:00:00.000Z","expires_at":"1970-01-01T00:00:00.000Z",' +
        `"callback":{"kind":"Callback","id":"${ACCEPTED_ID}","href":"/v1/callbacks/${ACCEPTED_ID}"}}`
      const list = [of('9007199254740993', 'null'), of('-9223372036854775808', '"1970-01-01T00:00:00.000Z"')].join(',')
      assert.equal(text, `{"kind":"ObjectList","id":"objects","href":"/v1/objects?limit=100","size":2,"items":[${list}]}`)
    })

    it('answers 503 too_many_reads at once while as many are under way as may, and reads again when one is over', async () => {
      const limited = readLimit(1)
      const begun = Promise.withResolvers<void>()
      const held = Promise.withResolvers<undefined>()
      const find = () => {
        begun.resolve()
        return held.promise
      }
      api = await serveApi({ objects: { find: () => limited(find), list: async () => [] } })
      const first = get('/v1/objects/5')
      await begun.promise
      const { status, retryAfter, body } = await get('/v1/objects/6')
      assert.deepEqual([status, retryAfter, body['code']], [503, '1', 'too_many_reads'])
      held.resolve(undefined)
      assert.equal((await first).status, 404)
      assert.equal((await get('/v1/objects/6')).status, 404)
    })

    it('lets lists wait for each other, up to sixteen, while reads of one object go on', async () => {
      const listed = turnLimit(1)
      const held = Promise.withResolvers<never[]>()
      let lists = 0
      const list = () => {
        lists += 1
        return held.promise
      }
      api = await serveApi({ objects: { find: async () => undefined, list: ({ workspace }) => listed(workspace, list) } })
      const answers = Array.from({ length: 17 }, () => get('/v1/objects'))
      assert.deepEqual([(await Promise.race(answers)).status, lists], [503, 1])
      assert.equal((await get('/v1/objects/5')).status, 404)
      held.resolve([])
      const statuses = (await Promise.all(answers)).map(({ status }) => status)
      assert.deepEqual([statuses.filter(status => status === 200).length, lists], [16, 16])
    })

    it('lets workspaces take turns with their lists, and refuses none because of another', async () => {
      const listed = turnLimit(1)
      const held = Promise.withResolvers<void>()
      const order: string[] = []
      const list = (workspace: string) =>
        listed(workspace, async () => {
          order.push(workspace)
          await held.promise
        })
      const hog = Array.from({ length: 17 }, () => list('hog'))
      await assert.rejects(Promise.race(hog), { code: 'too_many_reads' })
      const others = ['shop', 'lab', 'shop'].map(list)
      held.resolve()
      await Promise.all(others)
      assert.deepEqual([order[0], order.slice(1, 7).filter(name => name !== 'hog')], ['hog', ['shop', 'lab', 'shop']])
      await Promise.allSettled(hog)
      assert.equal(order.length, 16 + 3)
    })

    it('answers 503 when the database is away', async () => {
      api = await serveApi({ objects: { find: () => Promise.reject(new StorageUnavailableError('down')), list: async () => [] } })
      const { status, body } = await get('/v1/objects/5')
      assert.deepEqual([status, body['code']], [503, 'storage_unavailable'])
      assert.ok(!/stored/.test(`${body['title']} ${body['detail']}`), String(body['detail']))
    })
  })

  describe('GET /v1/callbacks', () => {
    it('gives what the filters ask for, without the objects, and keeps the filters in its links', async () => {
      const asked: unknown[] = []
      api = await serveApi({
        listCallbacks: async (filter, page) => {
          asked.push(filter, page)
          return [listed(2), listed(1)]
        },
      })
      const query = 'state=completed&received_after=1970-01-01T00%3A00%3A00.000Z&object_id=-7&limit=1'
      const { status, body } = await get(`/v1/callbacks?${query}`)
      assert.equal(status, 200)
      assert.deepEqual(asked, [
        { workspace: 'default', state: 'completed', receivedAfter: at, receivedBefore: undefined, objectId: -7n },
        { limit: 2, position: undefined },
      ])
      assert.deepEqual([body['kind'], body['id'], body['href'], body['size']], ['CallbackList', 'callbacks', `/v1/callbacks?${query}`, 1])
      assert.ok(String(body['next']).startsWith(`/v1/callbacks?${query}&cursor=`), String(body['next']))
      await get(String(body['next']))
      const position = { direction: 'after', key: { receivedUs: '2', id: listed(2).id } }
      assert.deepEqual(asked[3], { limit: 2, position })
    })

    for (const [query, name] of [
      ['state=done', 'state'],
      ['state=constructor', 'state'],
      ['received_after=yesterday', 'received_after'],
      ['received_after=2026-02-31T99:00:00Z', 'received_after'],
      ['received_after=2026-02-30T00:00:00Z', 'received_after'],
      ['received_before=9999-12-31T23:59:59-23:59', 'received_before'],
      ['received_after=0000-01-01T00:00:00%2B01:00', 'received_after'],
      ['received_before=2026-11-22', 'received_before'],
      ['object_id=1.5', 'object_id'],
      ['object_id=9223372036854775808', 'object_id'],
      ['colour=red', 'colour'],
    ] as const) {
      it(`answers 400 invalid_parameter to ${query}, naming it`, async () => {
        api = await serveApi()
        const { status, body } = await get(`/v1/callbacks?${query}`)
        assert.deepEqual([status, body['code']], [400, 'invalid_parameter'])
        assert.ok(String(body['detail']).includes(`"${name}"`), String(body['detail']))
      })
    }
  })

  describe('health', () => {
    it('is ready while the database is, and alive in any case', async () => {
      let problem: string | undefined
      api = await serveApi({ storageProblem: () => problem })
      assert.deepEqual((await get('/')).body, { status: 'ok', checks: { database: { status: 'ok' } } })
      problem = 'the database is not migrated'
      const unready = await get('/readyz')
      assert.deepEqual([unready.status, unready.retryAfter], [503, '1'])
      assert.deepEqual(unready.body['checks'], { database: { status: 'failing', reason: 'the database is not migrated' } })
      assert.equal((await get('/livez')).status, 200)
    })
  })
})

/** What a reader gives of ids that ascend. */
function pageOfIds(all: readonly bigint[], { limit, position }: PageRequest<bigint>): bigint[] {
  if (position?.direction === 'before') return all.filter(id => id < position.key).slice(-limit)
  return all.filter(id => position === undefined || id > position.key).slice(0, limit)
}

function idsOf(body: Record<string, unknown>): number[] {
  return (body['items'] as { id: number }[]).map(({ id }) => id)
}

function listed(receivedUs: number): ListedCallback {
  const { objectIds, unstored, ...facts } = view({ state: 'completed', finishedAt: at })
  const id = `01890a5d-ac96-774b-bcce-${String(receivedUs).padStart(12, '0')}`
  return { ...facts, id, objectCount: objectIds.length, position: { receivedUs: String(receivedUs), id } }
}
