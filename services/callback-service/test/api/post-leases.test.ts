import assert from 'node:assert/strict'
import { eventually } from '../../../../test/support/eventually.ts'
import type { LeaseDesk } from '../../api/leases/post-leases.ts'
import type { KnownAgent } from '../../domain/agents/agent.ts'
import type { Lease } from '../../domain/leasing/lease.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { DirectoryInMemory } from './gates/directory-in-memory.ts'
import { serveApi } from './serve-api.ts'

const AGENT = '01890a5d-ac96-774b-bcce-b302099a8057'
const OTHER = '01890a5d-ac96-774b-bcce-b302099a8058'
const FOREIGN = '01890a5d-ac96-774b-bcce-b302099a8059'

const LEASE: Lease = {
  token: '01a2012d-e90a-70df-bfc6-c43b082c5343',
  agentId: AGENT,
  callbackId: '01a2012d-e90a-70df-bfc6-c43b082c5344',
  workspace: 'default',
  objectIds: [9_007_199_254_740_993n, -1n],
  attempt: 2,
  receivedAt: new Date(1000),
  leasedAt: new Date(2000),
  expiresAt: new Date(32_000),
  expiresInMs: 29_999.5,
  waitedMs: 1000,
  trace: { traceparent: 't', tracestate: undefined, baggage: 'b' },
  requestId: undefined,
}

describe('POST /v1/agents/:id/leases', () => {
  const known = new Map<string, KnownAgent>()
  let api: Awaited<ReturnType<typeof serveApi>>
  let take: LeaseDesk['take']
  let polls: Parameters<LeaseDesk['take']>[0][]
  let seen: (readonly [string, string | undefined])[]
  let refreshes: number
  let left: number

  beforeEach(() => {
    known.clear()
    for (const [id, workspace] of [
      [AGENT, 'default'],
      [OTHER, 'default'],
      [FOREIGN, 'lab'],
    ] as const)
      known.set(id, { id, workspace, name: id, labels: [], maxLeases: 16, isArchived: false })
    ;[polls, seen, refreshes, left] = [[], [], 0, 0]
    take = () => ({ leases: Promise.resolve([LEASE]), leave: () => undefined })
  })

  afterEach(() => api.stop())

  async function serve(doubles: Parameters<typeof serveApi>[0] = {}): Promise<void> {
    api = await serveApi({
      ...doubles,
      leasing: {
        agents: {
          agent: id => known.get(id),
          refresh: async () => {
            refreshes += 1
          },
        },
        desk: {
          take: poll => {
            polls.push(poll)
            return take(poll)
          },
        },
        onSeen: (id, version) => seen.push([id, version]),
      },
    })
  }

  const poll = (id: string, body?: string, headers: Record<string, string> = {}) =>
    fetch(`${api.url}/v1/agents/${id}/leases`, {
      method: 'POST',
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body }),
    })

  const codeOf = async (answer: Promise<Response>): Promise<[number, string]> => {
    const response = await answer
    return [response.status, ((await response.json()) as { code: string }).code]
  }

  it('answers with leases: exact ids, URLs with the token, and no id of the callback', async () => {
    await serve()
    const response = await poll(AGENT, '{"wait_seconds":30,"max_callbacks":2,"max_objects":50,"version":"v1"}')
    const text = await response.text()
    assert.equal(response.status, 201)
    assert.equal(response.headers.get('cache-control'), 'no-store')
    assert.ok(text.includes('"object_ids":[9007199254740993,-1]'), text)
    assert.ok(!text.includes(LEASE.callbackId))
    const { items, ...list } = JSON.parse(text)
    assert.deepEqual(list, { kind: 'LeaseList', id: 'leases', href: `/v1/agents/${AGENT}/leases`, size: 1 })
    const { object_ids: _, ...lease } = items[0]
    assert.deepEqual(lease, {
      kind: 'Lease',
      location: `/v1/leases/${LEASE.token}`,
      objects: `/v1/leases/${LEASE.token}/objects`,
      attempt: 2,
      received_at: '1970-01-01T00:00:01.000Z',
      leased_at: '1970-01-01T00:00:02.000Z',
      expires_at: '1970-01-01T00:00:32.000Z',
      expires_in_seconds: 29.999,
      traceparent: 't',
      baggage: 'b',
    })
    assert.deepEqual(
      polls.map(({ agent, isAdmitted, ...asked }) => [agent.id, isAdmitted(), asked]),
      [[AGENT, true, { waitMs: 30_000, maxCallbacks: 2, maxObjects: 50, version: 'v1' }]],
    )
    assert.deepEqual(seen, [[AGENT, 'v1']])
  })

  it('answers 204 without a body if there is nothing, also to a request without a body', async () => {
    take = () => ({ leases: Promise.resolve([]), leave: () => undefined })
    await serve()
    const response = await poll(AGENT)
    assert.deepEqual([response.status, await response.text()], [204, ''])
  })

  it('refuses what the desk has no place for, and says when to come again', async () => {
    await serve()
    for (const [code, status, retryAfter] of [
      ['agent_archived', 409, null],
      ['too_many_polls', 429, '1'],
      ['overloaded', 503, '1'],
    ] as const) {
      take = () => code
      const response = await poll(AGENT, '{}')
      assert.deepEqual(
        [response.status, response.headers.get('retry-after'), ((await response.json()) as { code: string }).code],
        [...[status, retryAfter, code]],
      )
    }
  })

  it('answers 503 if nobody can look', async () => {
    take = () => ({ leases: Promise.reject(new StorageUnavailableError('away')), leave: () => undefined })
    await serve()
    assert.deepEqual(await codeOf(poll(AGENT, '{}')), [503, 'storage_unavailable'])
  })

  it('gives its place up when the connection is lost', async () => {
    const { promise, resolve } = Promise.withResolvers<readonly Lease[]>()
    take = () => ({
      leases: promise,
      leave: () => {
        left += 1
        resolve([])
      },
    })
    await serve()
    const abort = new AbortController()
    const gone = fetch(`${api.url}/v1/agents/${AGENT}/leases`, { method: 'POST', signal: abort.signal })
    await eventually('the poll has come', () => polls.length === 1)
    abort.abort()
    await assert.rejects(gone)
    await eventually('it has left', () => left > 0)
  })

  it('finds no agent of another workspace, none that does not exist, and no "self" without a key of an agent', async () => {
    await serve()
    const unknown = OTHER.replace('8', '9')
    for (const id of [FOREIGN, unknown, 'self', 'x', `${AGENT}0`, AGENT.replaceAll('-', '')])
      assert.deepEqual(await codeOf(poll(id, '{}')), [404, 'agent_not_found'], id)
    assert.deepEqual(polls, [])
    assert.deepEqual((await poll(AGENT.toUpperCase(), '{}')).status, 201)
  })

  it('looks at the database for an agent that it does not know', async () => {
    const agent = known.get(AGENT) as KnownAgent
    known.delete(AGENT)
    await serve()
    assert.equal((await poll(AGENT, '{}')).status, 404)
    assert.equal(refreshes, 1)
    known.set(AGENT, agent)
    assert.equal((await poll(AGENT, '{}')).status, 201)
    assert.equal(refreshes, 1)
  })

  it('lets a key of an agent lease for this agent alone, as its id or as "self"', async () => {
    const directory = new DirectoryInMemory()
    const key = directory.addKey('default', 'agent', { agentId: AGENT })
    await serve({ directory, access: { mode: 'keys' } })
    const headers = { 'x-api-key': key }
    assert.equal((await poll('self', '{}', headers)).status, 201)
    assert.equal((await poll(AGENT, '{}', headers)).status, 201)
    assert.deepEqual(await codeOf(poll(OTHER, '{}', headers)), [404, 'agent_not_found'])
    assert.deepEqual(
      polls.map(({ agent }) => agent.id),
      [AGENT, AGENT],
    )
  })

  it('says of a poll that waits whether its key still counts', async () => {
    const directory = new DirectoryInMemory()
    const key = directory.addKey('default', 'agent', { agentId: AGENT })
    await serve({ directory, access: { mode: 'keys' } })
    await poll('self', '{}', { 'x-api-key': key })
    const before = polls[0]?.isAdmitted()
    directory.revoke(key)
    assert.deepEqual([before, polls[0]?.isAdmitted()], [true, false])
  })
})
