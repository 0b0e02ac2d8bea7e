import assert from 'node:assert/strict'
import type { LedgerReader } from '../../api/ledger/get-ledger.ts'
import type { LedgerKeysReader } from '../../api/ledger/list-ledger-keys.ts'
import { DAY_MS, HOUR_MS, type LedgerSpan, MINUTE_MS } from '../../domain/ledger/ledger.ts'
import type { LedgerKey } from '../../domain/ledger/ledger-key.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { BUILT_IN_DEFAULT } from '../../domain/workspaces/default-workspace.ts'
import { ACCEPTED_ID, serveApi } from './serve-api.ts'

const NOW = Date.UTC(2026, 0, 1, 12, 30, 15)
const iso = (ms: number): string => new Date(ms).toISOString()

describe('the ledger over HTTP', () => {
  let api: Awaited<ReturnType<typeof serveApi>>
  let workspace: string

  afterEach(() => api.stop())

  async function serve(ledger: Partial<LedgerReader & LedgerKeysReader>): Promise<void> {
    workspace = 'shop'
    api = await serveApi({
      ledger: { nowMs: () => NOW, ...ledger },
      caller: () => ({ role: 'send', workspace: { ...BUILT_IN_DEFAULT, name: workspace }, key: undefined }),
    })
  }

  async function get(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`${api.url}${path}`)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  describe('GET /v1/ledger', () => {
    const empty = { mergedHours: [], live: [], gone: [], answers: [] }

    it('answers for the last hour by the minute, up to the minute that is not over yet', async () => {
      const asked: [string, LedgerSpan][] = []
      await serve({
        read: async (...question) => {
          asked.push(question)
          return empty
        },
      })
      const { body } = await get('/v1/ledger')
      const span = { fromMs: NOW - 15_000 - HOUR_MS, toMs: NOW + 45_000, stepMs: MINUTE_MS }
      assert.deepEqual(asked, [['shop', span]])
      assert.equal((body['intervals'] as unknown[]).length, 61)
      assert.equal(body['href'], `/v1/ledger?${new URLSearchParams({ from: iso(span.fromMs), to: iso(span.toMs), step: '60' })}`)
    })

    it('says of each interval what came of it, and whether the ledger still remembers all of it', async () => {
      const tally = { accepted: 5, keyed: 4, completed: 2, failed: 1, cancelled: 1, digest: 255n }
      const hour = Date.UTC(2026, 0, 1, 10)
      await serve({
        read: async () => ({ ...empty, live: [{ fromMs: hour, ...tally }], answers: [{ fromMs: hour, outcome: 'wrong_type', count: 7 }] }),
        retentionMs: NOW - hour - 30 * MINUTE_MS,
      })
      const { body } = await get(`/v1/ledger?from=${iso(hour)}&to=${iso(hour + 2 * HOUR_MS)}&step=3600`)
      const [first, second] = body['intervals'] as Record<string, unknown>[]
      assert.deepEqual(first, {
        from: iso(hour),
        to: iso(hour + HOUR_MS),
        ...{ accepted: 5, keyed: 4, replayed: 0, refused: { wrong_type: 7 }, completed: 2, failed: 1, cancelled: 1, unfinished: 1 },
        keys_digest: '00000000000000ff',
        complete: false,
      })
      assert.equal(second?.['complete'], true)
    })

    for (const [query, words] of [
      ['from=2026-01-01T12:00:00Z&to=2026-01-01T11:00:00Z', '"from" must be before "to"'],
      ['from=2026-01-01T12:00:00Z&to=2026-01-01T12:00:00Z', '"from" must be before "to"'],
      ['from=2027-01-01T12:00:00Z', '"from" must be before "to"'],
      ['from=2025-01-01T00:00:00Z&to=2026-01-01T00:00:00Z', 'more than 1440 intervals. Ask for a longer "step"'],
      ['from=0001-01-01T00:00:00Z&to=0001-01-01T01:00:00Z', 'from 1970 to 9998'],
      ['to=9999-12-31T23:59:59Z', 'from 1970 to 9998'],
      ['step=59', '"step" must be a number of seconds that divides an hour'],
      ['step=420', '"step" must be'],
      ['step=90000', '"step" must be'],
      ['step=-60', '"step" must be'],
      ['step=6e1', '"step" must be'],
      ['from=yesterday', '"from" must be an RFC 3339 time'],
      ['until=2026-01-01T12:00:00Z', '"until" is unknown'],
    ] as const) {
      it(`answers 400 invalid_parameter to ${query}, and asks the database nothing`, async () => {
        await serve({ read: () => assert.fail('it was read') })
        const { status, body } = await get(`/v1/ledger?${query}`)
        assert.deepEqual([status, body['code']], [400, 'invalid_parameter'])
        assert.ok(String(body['detail']).includes(words), String(body['detail']))
      })
    }

    it('answers for a year if the step is long enough', async () => {
      await serve({ read: async () => empty })
      const { body } = await get(`/v1/ledger?from=${iso(NOW - 365 * DAY_MS)}&step=86400`)
      assert.equal((body['intervals'] as unknown[]).length, 366)
    })

    it('answers 503 while the database is away', async () => {
      await serve({ read: () => Promise.reject(new StorageUnavailableError('away')) })
      assert.equal((await get('/v1/ledger')).status, 503)
    })
  })

  describe('GET /v1/ledger/keys', () => {
    const key = (n: number): LedgerKey => ({
      key: `order-${n}`,
      id: ACCEPTED_ID,
      receivedAt: new Date(NOW),
      state: 'completed',
      position: { receivedUs: String(n), id: ACCEPTED_ID },
    })

    it('shows each key with its callback, and links that keep the span', async () => {
      const asked: unknown[] = []
      await serve({
        list: async (...question) => {
          asked.push(question)
          return { keys: [key(1), key(2)], isComplete: false }
        },
      })
      const { body } = await get('/v1/ledger/keys?limit=1')
      const callback = { kind: 'Callback', id: ACCEPTED_ID, href: `/v1/callbacks/${ACCEPTED_ID}`, state: 'completed' }
      assert.deepEqual(body['items'], [{ key: 'order-1', received_at: iso(NOW), callback }])
      assert.equal(body['complete'], false)
      await get(String(body['next']))
      const span = { workspace: 'shop', fromMs: NOW - HOUR_MS, toMs: NOW }
      assert.deepEqual(asked, [
        [span, { limit: 2, position: undefined }],
        [span, { limit: 2, position: { direction: 'after', key: { receivedUs: '1', id: ACCEPTED_ID } } }],
      ])
    })

    it('calls nothing complete that the ledger may have forgotten', async () => {
      await serve({ list: async () => ({ keys: [], isComplete: true }), retentionMs: 2 * HOUR_MS })
      const isComplete = async (fromMs: number) => (await get(`/v1/ledger/keys?from=${iso(fromMs)}`)).body['complete']
      assert.deepEqual([await isComplete(NOW - 2 * HOUR_MS), await isComplete(NOW - 2 * HOUR_MS - 1)], [true, false])
    })

    it('refuses the cursor of another workspace', async () => {
      await serve({ list: async () => ({ keys: [key(1), key(2)], isComplete: true }) })
      const { body } = await get('/v1/ledger/keys?limit=1')
      workspace = 'depot'
      const foreign = await get(String(body['next']))
      assert.deepEqual([foreign.status, foreign.body['code']], [400, 'invalid_parameter'])
    })

    it('refuses a span that ends before it begins', async () => {
      await serve({ list: () => assert.fail('it was read') })
      assert.equal((await get(`/v1/ledger/keys?from=${iso(NOW)}&to=${iso(NOW - 1)}`)).status, 400)
    })
  })
})
