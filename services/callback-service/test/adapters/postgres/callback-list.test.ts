import assert from 'node:assert/strict'
import { listCallbacks } from '../../../adapters/postgres/callback-reader.ts'
import { CALLBACK_STATES, type CallbackFilter, type CallbackPosition } from '../../../domain/callback.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const ALL: CallbackFilter = {
  workspace: 'default',
  state: undefined,
  receivedAfter: undefined,
  receivedBefore: undefined,
  objectId: undefined,
}
const idOf = (number: number): string => `01890a5d-ac96-774b-bcce-${String(number).padStart(12, '0')}`

describe('listCallbacks', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
    // Five a second apart, the last two at the same microsecond; ids go against the order of time.
    for (const [number, second, state, ids] of [
      [5, '01', 'completed', '{1}'],
      [4, '02', 'failed', '{1,2}'],
      [3, '03', 'running', '{}'],
      [1, '04.000001', 'pending', '{-7}'],
      [2, '04.000001', 'pending', '{9007199254740993}'],
    ] as const) {
      await storage.query(
        `INSERT INTO callbacks (id, state, object_ids, received_at, due_at, finished_at, traceparent)
         VALUES ($1, $2::text::callback_state, $3, $4::timestamptz, $4::timestamptz, CASE WHEN $2 IN ('completed', 'failed') THEN $4::timestamptz END, NULL)`,
        [idOf(number), state, ids, `2026-11-22T00:00:${second}Z`],
      )
    }
  })

  after(() => storage.close())

  const list = (filter: Partial<CallbackFilter>, limit = 10, position?: { direction: 'after' | 'before'; key: CallbackPosition }) =>
    listCallbacks(storage.open().prisma, { ...ALL, ...filter }, { limit, position })
  const numbersOf = (found: readonly { id: string }[]): number[] => found.map(({ id }) => Number(id.slice(-12)))

  it('gives the newest first, and of two of one moment the greater id', async () => {
    assert.deepEqual(numbersOf(await list({})), [2, 1, 3, 4, 5])
  })

  it('gives those of one workspace', async () => {
    assert.deepEqual(await list({ workspace: 'Default' }), [])
  })

  it('gives of each what readers see', async () => {
    const [, , , failed] = await list({})
    const at = new Date('2026-11-22T00:00:02Z')
    assert.deepEqual(failed, {
      id: idOf(4),
      workspace: 'default',
      state: 'failed',
      priority: 0,
      wish: null,
      attempts: 0,
      objectCount: 2,
      requestId: null,
      traceparent: null,
      receivedAt: at,
      dueAt: at,
      finishedAt: at,
      position: { receivedUs: String(at.getTime() * 1000), id: idOf(4) },
    })
  })

  it('goes on after each place, and back before it, to the microsecond', async () => {
    const all = await list({})
    for (const [i, { position: key }] of all.entries()) {
      assert.deepEqual(numbersOf(await list({}, 2, { direction: 'after', key })), numbersOf(all.slice(i + 1, i + 3)))
      assert.deepEqual(numbersOf(await list({}, 2, { direction: 'before', key })), numbersOf(all.slice(Math.max(0, i - 2), i)))
    }
  })

  for (const [what, filter, found] of [
    ['a state', { state: 'pending' }, [2, 1]],
    ['the time from which on', { receivedAfter: new Date('2026-11-22T00:00:03Z') }, [2, 1, 3]],
    ['the time before which', { receivedBefore: new Date('2026-11-22T00:00:02Z') }, [5]],
    ['times that no calendar of Postgres has', { receivedAfter: new Date('0000-01-01T00:00:00Z') }, [2, 1, 3, 4, 5]],
    ['an object', { objectId: 1n }, [4, 5]],
    ['an object beyond 2^53', { objectId: 9007199254740993n }, [2]],
    ['all of it', { state: 'failed', objectId: 1n, receivedBefore: new Date('2026-11-22T00:00:03Z') }, [4]],
  ] as const) {
    it(`finds by ${what}`, async () => {
      assert.deepEqual(numbersOf(await list(filter)), found)
    })
  }

  it('knows every state that the database has', async () => {
    const rows = await storage.query<{ state: string }>('SELECT unnest(enum_range(NULL::callback_state))::text AS state')
    assert.deepEqual(
      rows.map(({ state }) => state),
      CALLBACK_STATES,
    )
  })
})
