import assert from 'node:assert/strict'
import type { LeaseUses } from '../../api/leases/lease-use.ts'
import { OverloadedError } from '../../domain/accepting/accept-errors.ts'
import type { LeaseKey } from '../../domain/leasing/held-lease.ts'
import type { Lease } from '../../domain/leasing/lease.ts'
import { LeaseLostError, NotWantedError, ObjectsMissingError } from '../../domain/leasing/lease-errors.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import type { Caller } from '../../domain/workspaces/caller.ts'
import { BUILT_IN_DEFAULT } from '../../domain/workspaces/default-workspace.ts'
import { serveApi } from './serve-api.ts'

const TOKEN = '01a2012d-f2c1-7a55-9d3e-1f0c7b6a4e21'
const AGENT = '01a2012d-e90a-70df-bfc6-c43b082c5343'
const PATH = `/v1/leases/${TOKEN}`
const BIG = 9007199254740993n

const LEASE: Lease = {
  token: TOKEN,
  agentId: AGENT,
  callbackId: '01890a5d-ac96-774b-bcce-b302099a8057',
  workspace: 'default',
  objectIds: [1n, BIG],
  attempt: 2,
  receivedAt: new Date(0),
  leasedAt: new Date(1000),
  expiresAt: new Date(31_000),
  expiresInMs: 29_999.9,
  waitedMs: 1000,
  trace: {},
  requestId: undefined,
}

/** Who needs no key. */
const ANYBODY: Caller = { role: 'superuser', workspace: BUILT_IN_DEFAULT, key: undefined }

describe('the routes of a lease', () => {
  let api: Awaited<ReturnType<typeof serveApi>>
  let calls: unknown[]
  let failure: Error | undefined
  let caller: Caller

  const answer = async <T>(call: unknown[], result: T): Promise<T> => {
    calls.push(call)
    if (failure) throw failure
    return result
  }
  const leases: LeaseUses = {
    renew: (key, seconds) => answer(['renew', key, seconds], LEASE),
    deliver: (key, objects) => answer(['deliver', key, objects], { stored: 1, wanted: 2, expiresAt: new Date(31_000) }),
    end: (key, ending) => answer(['end', key, ending], 'paused' as const),
  }
  const key: LeaseKey = { token: TOKEN, workspace: 'default', agentId: undefined }

  before(async () => {
    api = await serveApi({ leases, caller: () => caller })
  })

  beforeEach(() => {
    calls = []
    caller = ANYBODY
    failure = undefined
  })

  after(() => api.stop())

  const send = (method: string, path: string, body?: string): Promise<Response> =>
    fetch(`${api.url}${path}`, { method, ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body }) })
  const codeOf = async (response: Response): Promise<string> => ((await response.json()) as { code: string }).code

  it('show a lease with exact ids, and without the id of its callback', async () => {
    const response = await send('GET', PATH)
    const text = await response.text()
    assert.equal(
      text,
      `{"kind":"Lease","location":"${PATH}","objects":"${PATH}/objects","object_ids":[1,${BIG}],"attempt":2,"received_at":"1970-01-01T00:00:00.000Z",` +
        `"leased_at":"1970-01-01T00:00:01.000Z","expires_at":"1970-01-01T00:00:31.000Z","expires_in_seconds":29.999}`,
    )
    assert.deepEqual([response.status, response.headers.get('cache-control'), calls], [200, 'no-store', [['renew', key, undefined]]])
  })

  it('extend a lease', async () => {
    const response = await send('PATCH', PATH, '{"extend_seconds":120}')
    assert.deepEqual([response.status, calls], [200, [['renew', key, 120]]])
  })

  it('end a lease, and say which state the callback got', async () => {
    const response = await send('PATCH', PATH, '{"state":"pending"}')
    assert.deepEqual([response.status, await response.json()], [200, { kind: 'LeaseEnd', state: 'paused' }])
    assert.deepEqual(calls, [['end', key, { kind: 'give_back', unstored: [], isCharged: false, retryAfterMs: 0 }]])
  })

  it('take objects with exact ids', async () => {
    const response = await send('PUT', `${PATH}/objects`, `{"objects":[{"id":${BIG},"online":true}]}`)
    assert.deepEqual(await response.json(), { kind: 'Delivery', stored: 1, wanted: 2, expires_at: '1970-01-01T00:00:31.000Z' })
    assert.deepEqual(calls, [['deliver', key, [{ id: BIG, online: true }]]])
  })

  it('know a token in upper case', async () => {
    await send('GET', `/v1/leases/${TOKEN.toUpperCase()}`)
    assert.deepEqual(calls, [['renew', key, undefined]])
  })

  it('pass the agent of the key on', async () => {
    const own = { id: TOKEN, workspace: 'default', role: 'agent', hash: Buffer.alloc(32), expiresAt: null, agentId: AGENT } as const
    caller = { ...ANYBODY, role: 'agent', key: own }
    await send('GET', PATH)
    assert.deepEqual(calls, [['renew', { ...key, agentId: AGENT }, undefined]])
  })

  for (const token of [
    TOKEN.slice(1),
    `${TOKEN}0`,
    'self',
    `${TOKEN.slice(0, -1)}g`,
    `${TOKEN.slice(0, 8)}${TOKEN.slice(9)}`,
    '%00',
    '..%2f..',
  ]) {
    it(`answer 404 to the token ${token}, whatever the method`, async () => {
      for (const [method, path, body] of [
        ['GET', '', undefined],
        ['PATCH', '', '{"state":"completed"}'],
        ['PUT', '/objects', '{"objects":[{"id":1,"online":true}]}'],
      ] as const) {
        const response = await send(method, `/v1/leases/${token}${path}`, body)
        assert.deepEqual([response.status, await codeOf(response), calls], [404, 'not_found', []])
      }
    })
  }

  for (const [error, status, code] of [
    [new LeaseLostError(), 410, 'lease_lost'],
    [new NotWantedError([7n]), 422, 'not_wanted'],
    [new OverloadedError(), 503, 'overloaded'],
    [new StorageUnavailableError('gone'), 503, 'storage_unavailable'],
  ] as const) {
    it(`answer ${status} ${code} to a delivery that cannot be taken`, async () => {
      failure = error
      const response = await send('PUT', `${PATH}/objects`, '{"objects":[{"id":7,"online":true}]}')
      assert.deepEqual([response.status, response.headers.get('retry-after')], [status, status === 503 ? '1' : null])
      assert.equal(await codeOf(response), code)
    })
  }

  it('say which objects have no outcome, and that a lost finish counts', async () => {
    failure = new ObjectsMissingError([1n, 2n, 3n, 4n, 5n, 6n, BIG])
    const missing = await (await send('PATCH', PATH, '{"state":"completed"}')).text()
    assert.match(missing, /"The lease still asks for the objects 1, 2, 3, 4, 5 and 2 more\./)
    failure = new LeaseLostError()
    assert.match(await (await send('PATCH', PATH, '{"state":"completed"}')).text(), /the first finish counts/)
  })

  it('refuse what is not JSON, and a path or a parameter that there is not', async () => {
    const form = await fetch(`${api.url}${PATH}/objects`, { method: 'PUT', body: 'objects=1' })
    const post = await send('POST', PATH, '{}')
    const parameter = await send('GET', `${PATH}?all=1`)
    assert.deepEqual([form.status, post.status, parameter.status, calls], [415, 405, 400, []])
  })

  it('take the outcomes of 1,000 objects in one body, and refuse a much larger one', async () => {
    const outcome = (i: number) => ({ id: i, outcome: 'failed', reason: 'x'.repeat(64) })
    const all = JSON.stringify({ state: 'completed', unstored: Array.from({ length: 1000 }, (_, i) => outcome(i)) })
    assert.ok(all.length > 65_536)
    assert.equal((await send('PATCH', PATH, all)).status, 200)
    const tooLarge = await send('PATCH', PATH, all + ' '.repeat(100_000))
    assert.deepEqual([tooLarge.status, await codeOf(tooLarge), calls.length], [413, 'body_too_large', 1])
  })

  it('take 1,000 objects with the longest ids in one body', async () => {
    const objects = Array.from({ length: 1000 }, (_, i) => `{"id":${-(2n ** 63n) + BigInt(i)},"online":false}`)
    assert.equal((await send('PUT', `${PATH}/objects`, `{"objects":[${objects.join(',')}]}`)).status, 200)
    assert.equal(calls.length, 1)
  })
})
