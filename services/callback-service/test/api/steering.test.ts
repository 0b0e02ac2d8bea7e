import assert from 'node:assert/strict'
import { eventually } from '../../../../test/support/eventually.ts'
import { onlyDefault } from '../../../../test/support/only-default.ts'
import type { RoutesOptions } from '../../api/routes.ts'
import type { CallbackView } from '../../domain/callback.ts'
import type { Found } from '../../domain/steering/steered.ts'
import { BUILT_IN_DEFAULT } from '../../domain/workspaces/default-workspace.ts'
import { ACCEPTED_ID, serveApi } from './serve-api.ts'

const PATH = `/v1/callbacks/${ACCEPTED_ID}`
const JSON_TYPE = { 'content-type': 'application/json' }
const callback: CallbackView = {
  id: ACCEPTED_ID,
  workspace: 'default',
  state: 'paused',
  priority: 5,
  wish: null,
  attempts: 0,
  objectIds: [1n],
  unstored: undefined,
  requestId: null,
  traceparent: null,
  receivedAt: new Date(0),
  dueAt: new Date(0),
  finishedAt: null,
}

describe('steering', () => {
  let api: Awaited<ReturnType<typeof serveApi>>

  afterEach(() => api.stop())

  const serve = async (steering: Partial<RoutesOptions['steering']>): Promise<void> => {
    api = await serveApi({ steering })
  }
  const finding = (found: Found) =>
    serve({
      change: async () => ({ found, callback: found && found !== 'spooled' ? callback : undefined }),
      retry: async () => ({ found, callback: found && found !== 'spooled' ? callback : undefined }),
      cancel: async () => found,
    })
  /** @returns status, and the code or `none` */
  async function ask(method: string, path: string, body?: string): Promise<string> {
    const response = await fetch(`${api.url}${path}`, { method, ...(body === undefined ? {} : { headers: JSON_TYPE, body }) })
    const text = await response.text()
    const code = response.headers.get('content-type') === 'application/problem+json' ? (JSON.parse(text) as { code: string }).code : 'none'
    return `${response.status} ${code}`
  }

  it('passes on labels, and shows who may lease the callback', async () => {
    const seen: unknown[] = []
    await serve({
      change: async (_, changes) => {
        seen.push(changes)
        return { found: 'running', callback: { ...callback, agentLabels: ['eu'], agentId: ACCEPTED_ID, assignedTo: ACCEPTED_ID } }
      },
    })
    for (const labels of ['["eu"]', 'null']) {
      const response = await fetch(`${api.url}${PATH}`, { method: 'PATCH', headers: JSON_TYPE, body: `{"agent_labels":${labels}}` })
      const { agent_labels, agent, assigned_to } = (await response.json()) as Record<string, unknown>
      assert.deepEqual([agent_labels, agent, assigned_to], [['eu'], ACCEPTED_ID, ACCEPTED_ID])
    }
    assert.deepEqual(seen, [{ agentLabels: ['eu'] }, { agentLabels: null }])
  })

  it('passes on the changes, and answers with the callback', async () => {
    const seen: unknown[] = []
    await serve({
      change: async (key, changes) => {
        seen.push(key, changes)
        return { found: 'pending', callback }
      },
    })
    const response = await fetch(`${api.url}${PATH.toUpperCase().replace('/V1/CALLBACKS', '/v1/callbacks')}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json' },
      body: '{"activated":false,"priority":5}',
    })
    assert.equal(response.status, 200)
    const { activated, priority, state, objects } = (await response.json()) as Record<string, unknown>
    assert.deepEqual([activated, priority, state, (objects as { outcome: string }[])[0]?.outcome], [false, 5, 'paused', 'pending'])
    assert.deepEqual(seen, [
      { workspace: 'default', id: ACCEPTED_ID },
      { activated: false, priority: 5 },
    ])
  })

  const ANSWERS: readonly (readonly [Found, patch: string, retry: string, remove: string])[] = [
    ['pending', '200 none', '409 callback_unfinished', '204 none'],
    ['paused', '200 none', '409 callback_unfinished', '204 none'],
    ['running', '200 none', '409 callback_unfinished', '409 callback_running'],
    ['completed', '409 callback_finished', '202 none', '409 callback_finished'],
    ['failed', '409 callback_finished', '202 none', '409 callback_finished'],
    ['cancelled', '409 callback_finished', '202 none', '204 none'],
    ['spooled', '409 callback_spooled', '409 callback_spooled', '409 callback_spooled'],
    [undefined, '404 callback_not_found', '404 callback_not_found', '404 callback_not_found'],
  ]
  for (const [found, patch, retry, remove] of ANSWERS) {
    it(`answers as documented where the callback is ${found}`, async () => {
      await finding(found)
      const answers = [await ask('PATCH', PATH, '{"activated":false}'), await ask('POST', `${PATH}/retry`, '{}'), await ask('DELETE', PATH)]
      assert.deepEqual(answers, [patch, retry, remove])
    })
  }

  it('sends one more round of the missing objects if the request has no body', async () => {
    const seen: unknown[] = []
    await serve({
      retry: async (_, objects) => {
        seen.push(objects)
        return { found: 'failed', callback }
      },
    })
    assert.deepEqual(
      [await ask('POST', `${PATH}/retry`), await ask('POST', `${PATH}/retry`, '{"objects":"all"}')],
      ['202 none', '202 none'],
    )
    assert.deepEqual(seen, ['missing', 'all'])
  })

  it('says when a spooled callback can be tried again', async () => {
    await finding('spooled')
    const response = await fetch(`${api.url}${PATH}`, { method: 'DELETE' })
    assert.equal(response.headers.get('retry-after'), '1')
  })

  for (const [method, path, body, answer] of [
    ['PATCH', PATH, '{}', '422 missing_member'],
    ['PATCH', PATH, '{"activated":1,"priority":"x"}', '422 wrong_type'],
    ['PATCH', PATH, '{"priority":101}', '422 out_of_range'],
    ['PATCH', PATH, '{"state":"paused"}', '422 unknown_member'],
    ['PATCH', PATH, '', '400 empty_body'],
    ['PATCH', '/v1/callbacks/7', '{"priority":1}', '400 invalid_id'],
    ['PATCH', `${PATH}?force=true`, '{"priority":1}', '400 invalid_parameter'],
    ['POST', `${PATH}/retry`, '{"objects":"some"}', '422 invalid_value'],
    ['DELETE', `${PATH}?wait=31`, undefined, '400 invalid_parameter'],
    ['DELETE', `${PATH}?wait=-1`, undefined, '400 invalid_parameter'],
    ['DELETE', `${PATH}?wait=`, undefined, '400 invalid_parameter'],
    ['DELETE', `${PATH}?wait=1&wait=2`, undefined, '400 invalid_parameter'],
    ['POST', '/v1/callbacks/flush?state=running', undefined, '400 invalid_parameter'],
    ['GET', '/v1/callbacks/flush', undefined, '405 method_not_allowed'],
    ['GET', '/v1/callbacks/7/timeline', undefined, '400 invalid_id'],
    ['GET', `${PATH}/timeline`, undefined, '404 callback_not_found'],
  ] as const) {
    it(`answers ${answer} to ${method} ${path.replace(ACCEPTED_ID, 'ID')} ${body ?? 'without a body'}`, async () => {
      await finding('pending')
      assert.equal(await ask(method, path, body), answer)
    })
  }

  it('tells a cancellation whose connection has closed while the gate looked for its workspace', async () => {
    const [looking, looked, waiting] = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<AbortSignal>()]
    let isKnown = false
    const directory = {
      ...onlyDefault,
      find: (name: string) => (name === 'default' || isKnown ? { ...BUILT_IN_DEFAULT, name } : undefined),
      refresh: async () => {
        looking.resolve()
        await looked.promise
        isKnown = true
      },
    }
    const cancel = async (_: unknown, { signal }: { readonly signal: AbortSignal }): Promise<Found> => {
      waiting.resolve(signal)
      return 'running'
    }
    api = await serveApi({ directory, steering: { cancel } })
    const client = new AbortController()
    const init = { method: 'DELETE', headers: { 'x-workspace': 'shop' }, signal: client.signal }
    const asked = fetch(`${api.url}${PATH}?wait=30`, init).catch(() => undefined)
    await looking.promise
    client.abort()
    await asked
    await eventually('the server knows', () => api.measured.some(({ status }) => status === 499))
    looked.resolve()
    assert.equal((await waiting.promise).aborted, true)
  })

  it('tells a cancellation that its connection has closed', async () => {
    const waiting = Promise.withResolvers<AbortSignal>()
    const ended = Promise.withResolvers<Found>()
    await serve({
      cancel: (_, { waitMs, signal }) => {
        assert.equal(waitMs, 30_000)
        waiting.resolve(signal)
        return ended.promise
      },
    })
    const client = new AbortController()
    const asked = fetch(`${api.url}${PATH}?wait=30`, { method: 'DELETE', signal: client.signal }).catch(() => undefined)
    const signal = await waiting.promise
    assert.equal(signal.aborted, false)
    client.abort()
    await eventually('the cancellation knows', () => signal.aborted)
    ended.resolve('running')
    await asked
  })

  it('lets only a few cancellations wait', async () => {
    const ended = Promise.withResolvers<Found>()
    let waiting = 0
    await serve({
      cancel: () => {
        waiting += 1
        return ended.promise
      },
    })
    const first = Array.from({ length: 16 }, () => ask('DELETE', `${PATH}?wait=5`))
    await eventually('all wait', () => waiting === 16)
    assert.equal(await ask('DELETE', `${PATH}?wait=5`), '503 too_many_reads')
    ended.resolve('cancelled')
    assert.deepEqual(new Set(await Promise.all(first)), new Set(['204 none']))
  })

  it('flushes both states or one, and says when it could not finish', async () => {
    const seen: unknown[] = []
    let isDone = true
    await serve({
      flush: async (workspace, states) => {
        seen.push([workspace, ...states])
        return isDone
      },
    })
    const answers = [await ask('POST', '/v1/callbacks/flush'), await ask('POST', '/v1/callbacks/flush?state=paused')]
    isDone = false
    answers.push(await ask('POST', '/v1/callbacks/flush'))
    assert.deepEqual(answers, ['204 none', '204 none', '503 flush_unfinished'])
    assert.deepEqual(seen.slice(0, 2), [
      ['default', 'pending', 'paused'],
      ['default', 'paused'],
    ])
  })

  it('shows a timeline with times in ISO 8601', async () => {
    await serve({
      timeline: async ({ id }) => ({
        id,
        state: 'running',
        receivedAt: new Date(0),
        isSpooled: false,
        entries: [{ at: 1000, event: 'paused', by: 'api' }],
        claim: { worker: 3, at: 2000, attempt: 1 },
        processes: new Map(),
      }),
    })
    const { events, ...rest } = (await (await fetch(`${api.url}${PATH}/timeline`)).json()) as Record<string, unknown>
    const reference = { kind: 'Callback', id: ACCEPTED_ID, href: PATH }
    assert.deepEqual(rest, { kind: 'Timeline', id: ACCEPTED_ID, href: `${PATH}/timeline`, callback: reference })
    assert.deepEqual(events, [
      { event: 'accepted', at: '1970-01-01T00:00:00.000Z' },
      { event: 'paused', at: '1970-01-01T00:00:01.000Z', by: 'api' },
      { event: 'claimed', at: '1970-01-01T00:00:02.000Z', attempt: 1, worker: { number: 3 } },
    ])
  })

  it('shows objects of a cancelled callback that were never fetched as cancelled', async () => {
    const unstored = [
      { id: 2n, outcome: 'not_found' as const },
      { id: 3n, outcome: 'pending' as const, reason: 'timeout' },
    ]
    const outcomesOf = async (view: Partial<CallbackView>): Promise<unknown> => {
      api = await serveApi({ findCallback: async () => ({ ...callback, state: 'cancelled', objectIds: [1n, 2n, 3n], ...view }) })
      const { objects } = (await (await fetch(`${api.url}${PATH}`)).json()) as { objects: { outcome: string }[] }
      return objects.map(({ outcome }) => outcome)
    }
    assert.deepEqual(await outcomesOf({}), ['cancelled', 'cancelled', 'cancelled'])
    await api.stop()
    assert.deepEqual(await outcomesOf({ unstored }), ['stored', 'not_found', 'cancelled'])
  })
})
