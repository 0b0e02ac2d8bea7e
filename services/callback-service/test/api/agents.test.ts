import assert from 'node:assert/strict'
import type { RoutesOptions } from '../../api/routes.ts'
import { AgentConflictError } from '../../domain/agents/agent-conflict.ts'
import type { AgentCallback, AgentView, Assignment } from '../../domain/agents/agent-view.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import type { Caller } from '../../domain/workspaces/caller.ts'
import { BUILT_IN_DEFAULT } from '../../domain/workspaces/default-workspace.ts'
import { serveApi } from './serve-api.ts'

const ID = '01890a5d-ac96-774b-bcce-b302099a8057'
const CALLBACK = '01890a5d-ac96-774b-bcce-b302099a8058'
const KEY = `ab_plant_${'x'.repeat(43)}`
const at = new Date(0)
const time = at.toISOString()
const JSON_TYPE = { 'content-type': 'application/json' }
const plant = { ...BUILT_IN_DEFAULT, name: 'plant' }
const manager: Caller = { role: 'manage', workspace: plant, key: undefined }
const superuser: Caller = { role: 'superuser', workspace: plant, key: undefined }

const agent: AgentView = {
  ...{ id: ID, workspace: 'plant', name: 'gateway', description: 'Hall 3', labels: ['eu'], maxLeases: 16, version: 'a/1' },
  ...{ isAlive: true, lastSeenAt: at, callbacks: 2, objectsDelivered: 3, callbacksFinished: 4, leasesLapsed: 5 },
  ...{ createdAt: at, archivedAt: null },
}
const BODY = {
  ...{ kind: 'Agent', id: ID, href: `/v1/agents/${ID}`, workspace: 'plant', name: 'gateway', description: 'Hall 3', labels: ['eu'] },
  ...{ max_leases: 16, version: 'a/1', alive: true, last_seen_at: time },
  callbacks: { href: `/v1/agents/${ID}/callbacks`, size: 2 },
  ...{ objects_delivered: 3, callbacks_finished: 4, leases_lapsed: 5, created_at: time, archived_at: null },
}
const held: AgentCallback = {
  ...{ id: CALLBACK, state: 'running', leasedAt: at, leaseExpiresAt: at, isAssigned: false, objects: 9, delivered: 4 },
}
const HELD_BODY = {
  ...{ kind: 'AgentCallback', id: CALLBACK, href: `/v1/callbacks/${CALLBACK}`, state: 'running', leased_at: time, lease_expires_at: time },
  ...{ assigned: false, objects: 9, delivered: 4 },
}

describe('/v1/agents', () => {
  let api: Awaited<ReturnType<typeof serveApi>>
  let asked: unknown[]

  afterEach(() => api.stop())

  async function serve(agents: Partial<RoutesOptions['agents']> = {}, caller = manager): Promise<void> {
    asked = []
    const note = <T>(what: unknown[], answer: T): T => {
      asked.push(what)
      return answer
    }
    const of = (id: string): AgentView | undefined => (id === ID ? agent : undefined)
    api = await serveApi({
      caller: () => caller,
      agents: {
        find: async key => note(['find', key], of(key.id)),
        list: async (workspace, page) => note(['list', workspace, page], [agent, { ...agent, name: 'other' }].slice(0, page.limit)),
        create: async (workspace, members) => note(['create', workspace, members], { agent, key: KEY }),
        change: async (key, members) => note(['change', key, members], of(key.id)),
        archive: async key => note(['archive', key], of(key.id)),
        restore: async key => note(['restore', key], of(key.id)),
        listCallbacks: async (key, page) => note(['callbacks', key, page], of(key.id) && [held, { ...held, id: ID }].slice(0, page.limit)),
        assign: async (key, callback) => note<Assignment>(['assign', key, callback], 'assigned'),
        takeAway: async (key, callback) => note(['take away', key, callback], callback === CALLBACK),
        ...agents,
      },
    })
  }

  async function ask(method: string, path: string, body?: string, headers: Record<string, string> = JSON_TYPE) {
    const response = await fetch(`${api.url}/v1/agents${path}`, { method, ...(body !== undefined && { body, headers }) })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
  }

  async function refusal(method: string, path: string, body?: string, headers?: Record<string, string>) {
    const answer = await ask(method, path, body, headers)
    return [answer.status, answer.body?.code]
  }

  const key = { workspace: 'plant', id: ID }

  it('shows a new agent with its key once, and lets nobody cache it', async () => {
    await serve()
    const { status, headers, body } = await ask('POST', '', '{"name":"gateway","labels":["eu"]}')
    assert.deepEqual([status, body], [201, { ...BODY, key: KEY }])
    assert.deepEqual([headers.get('location'), headers.get('cache-control')], [BODY.href, 'no-store'])
    assert.deepEqual(asked, [['create', 'plant', { name: 'gateway', description: '', labels: ['eu'], maxLeases: 16 }]])
    assert.ok(!api.logged.join('').includes(KEY))
  })

  it('lists the agents of the workspace of the caller, with links', async () => {
    await serve()
    const { status, headers, body } = await ask('GET', '?limit=1')
    assert.deepEqual([status, body.kind, body.size, body.items], [200, 'AgentList', 1, [BODY]])
    assert.equal(headers.get('link'), `<${body.next}>; rel="next"`)
    await fetch(`${api.url}${body.next}`)
    assert.deepEqual(asked, [
      ['list', 'plant', { limit: 2, position: undefined }],
      ['list', 'plant', { limit: 2, position: { direction: 'after', key: 'gateway' } }],
    ])
  })

  it('leads a superuser back to the same workspace', async () => {
    await serve({}, superuser)
    const { body } = await ask('GET', '?limit=1')
    assert.equal(body.items[0].href, `/v1/agents/${ID}?workspace_id=plant`)
    assert.equal(body.items[0].callbacks.href, `/v1/agents/${ID}/callbacks?workspace_id=plant`)
    assert.match(body.next, /workspace_id=plant/)
    const callbacks = await ask('GET', `/${ID}/callbacks?limit=1`)
    assert.equal(callbacks.body.items[0].href, `/v1/callbacks/${CALLBACK}?workspace_id=plant`)
    assert.match(callbacks.body.next, /workspace_id=plant/)
  })

  it('shows an agent, whatever the case of its id', async () => {
    await serve()
    assert.deepEqual((await ask('GET', `/${ID}`)).body, BODY)
    assert.equal((await ask('GET', `/${ID.toUpperCase()}`)).status, 200)
    assert.deepEqual(asked, [
      ['find', key],
      ['find', key],
    ])
  })

  it('replaces all members with PUT, and changes those that are named with PATCH', async () => {
    await serve()
    assert.equal((await ask('PUT', `/${ID}`, '{"name":"new"}')).status, 200)
    for (const type of ['application/json', 'application/merge-patch+json']) {
      assert.equal((await ask('PATCH', `/${ID}`, '{"max_leases":3,"labels":null}', { 'content-type': type })).status, 200)
    }
    const changed = ['change', key, { maxLeases: 3, labels: [] }]
    assert.deepEqual(asked, [['change', key, { name: 'new', description: '', labels: [], maxLeases: 16 }], changed, changed])
  })

  it('archives and restores without a body', async () => {
    await serve()
    const [archived, restored] = [await ask('DELETE', `/${ID}`), await ask('POST', `/${ID}/restore`)]
    assert.deepEqual([archived.status, archived.body, restored.status, restored.body], [204, undefined, 200, BODY])
    assert.deepEqual(asked, [
      ['archive', key],
      ['restore', key],
    ])
  })

  it('lists what an agent works on, and takes no cursor of another agent', async () => {
    await serve()
    const { status, body } = await ask('GET', `/${ID}/callbacks?limit=1`)
    assert.deepEqual([status, body.kind, body.items], [200, 'AgentCallbackList', [HELD_BODY]])
    assert.equal((await fetch(`${api.url}${body.next}`)).status, 200)
    assert.deepEqual(await refusal('GET', body.next.replace('/v1/agents', '').replace(ID, CALLBACK)), [400, 'invalid_parameter'])
  })

  it('assigns a callback and takes it away, without a body', async () => {
    await serve()
    const assigned = await ask('PUT', `/${ID}/callbacks/${CALLBACK.toUpperCase()}`)
    const taken = await ask('DELETE', `/${ID}/callbacks/${CALLBACK}`)
    assert.deepEqual([assigned.status, assigned.body, taken.status], [204, undefined, 204])
    assert.deepEqual(asked, [
      ['assign', key, CALLBACK],
      ['take away', key, CALLBACK],
    ])
    assert.deepEqual(await refusal('DELETE', `/${ID}/callbacks/${ID}`), [404, 'callback_not_found'])
  })

  for (const [outcome, status] of [
    ['agent_not_found', 404],
    ['callback_not_found', 404],
    ['agent_archived', 409],
    ['callback_finished', 409],
    ['callback_spooled', 409],
    ['fetcher_is_service', 409],
  ] as const) {
    it(`answers an assignment with ${status} ${outcome}`, async () => {
      await serve({ assign: async () => outcome })
      assert.deepEqual(await refusal('PUT', `/${ID}/callbacks/${CALLBACK}`), [status, outcome])
    })
  }

  for (const [method, path, body] of [
    ['GET', ''],
    ['PUT', '', '{"name":"a"}'],
    ['PATCH', '', '{}'],
    ['DELETE', ''],
    ['POST', '/restore'],
    ['GET', '/callbacks'],
    ['PUT', `/callbacks/${CALLBACK}`],
  ] as const) {
    it(`answers ${method} :id${path} of an agent that the workspace does not have with 404`, async () => {
      await serve({ assign: async ({ id }) => (id === ID ? 'assigned' : 'agent_not_found') })
      for (const id of [CALLBACK, 'self', 'x', 'a%00b', `${ID}x`]) {
        assert.deepEqual(await refusal(method, `/${id}${path}`, body), [404, 'agent_not_found'])
      }
    })
  }

  it('knows no callback whose id is none', async () => {
    await serve()
    for (const method of ['PUT', 'DELETE']) {
      for (const id of ['x', '7', 'a%00b']) assert.deepEqual(await refusal(method, `/${ID}/callbacks/${id}`), [404, 'callback_not_found'])
    }
    assert.deepEqual(asked, [])
  })

  const wrong: [method: string, path: string, body: string, status: number, code: string][] = [
    ['POST', '', '', 400, 'empty_body'],
    ['POST', '', '{', 400, 'invalid_json'],
    ['POST', '', '{"name":"a","name":"b"}', 400, 'duplicate_member'],
    ['POST', '', '[]', 422, 'not_an_object'],
    ['POST', '', '{}', 422, 'missing_member'],
    ['POST', '', '{"name":"a","id":"b"}', 422, 'unknown_member'],
    ['POST', '', '{"name":" "}', 422, 'invalid_value'],
    ['POST', '', '{"name":"a","labels":["a b"]}', 422, 'invalid_value'],
    ['POST', '', `{"name":"a","description":"${'x'.repeat(17_000)}"}`, 413, 'body_too_large'],
    ['POST', '?x=1', '{"name":"a"}', 400, 'invalid_parameter'],
    ['PUT', `/${ID}`, '{"labels":[]}', 422, 'missing_member'],
    ['PATCH', `/${ID}`, '{"name":null}', 422, 'wrong_type'],
    ['PATCH', `/${ID}`, '{"max_leases":1e308}', 422, 'out_of_range'],
  ]
  for (const [method, path, body, status, code] of wrong) {
    it(`answers ${method} ${path.slice(0, 5)} ${body.slice(0, 50)} with ${status} ${code}`, async () => {
      await serve()
      assert.deepEqual(await refusal(method, path, body), [status, code])
      assert.deepEqual(asked, [])
    })
  }

  it('takes nothing that a page of another site can send without asking', async () => {
    await serve()
    for (const [method, path] of [
      ['POST', ''],
      ['PATCH', `/${ID}`],
      ['PUT', `/${ID}`],
      ['POST', `/${ID}/restore`],
      ['PUT', `/${ID}/callbacks/${CALLBACK}`],
    ] as const) {
      assert.deepEqual(await refusal(method, path, '{"name":"a"}', { 'content-type': 'text/plain' }), [415, 'unsupported_media_type'])
    }
    assert.deepEqual(asked, [])
  })

  for (const code of ['agent_exists', 'too_many_agents'] as const) {
    it(`answers ${code} with 409`, async () => {
      await serve({ create: () => Promise.reject(new AgentConflictError(code, 'because')) })
      assert.deepEqual(await refusal('POST', '', '{"name":"a"}'), [409, code])
    })
  }

  it('says that the workspace is gone if it is', async () => {
    await serve({ create: async () => undefined })
    assert.deepEqual(await refusal('POST', '', '{"name":"a"}'), [404, 'workspace_not_found'])
  })

  it('asks a caller to try again while the database is away', async () => {
    const away = () => Promise.reject(new StorageUnavailableError('away'))
    await serve({ create: away, list: away, assign: away })
    for (const [method, path, body] of [
      ['POST', '', '{"name":"a"}'],
      ['GET', ''],
      ['PUT', `/${ID}/callbacks/${CALLBACK}`],
    ] as const) {
      const answer = await ask(method, path, body)
      assert.deepEqual([answer.status, answer.body.code, answer.headers.get('retry-after')], [503, 'storage_unavailable', '1'])
    }
  })
})
