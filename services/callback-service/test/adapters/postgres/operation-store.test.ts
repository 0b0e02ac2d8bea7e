import assert from 'node:assert/strict'
import { IdempotencyKeyReusedError } from '../../../domain/accepting/accept-errors.ts'
import { MAX_OPERATIONS, TooManyOperationsError } from '../../../domain/steering/operation.ts'
import { asked, newReplica, RETRY } from './operation-fixture.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const NOBODY = '01890a5d-ac96-774b-bcce-b302099a8057'
const FILTER = { state: 'failed', objectId: -7n, receivedAfter: new Date(1000) } as const

describe('OperationStore', () => {
  let storage: TestStorage
  let store: ReturnType<typeof newReplica>['store']

  before(async () => {
    storage = await openTestStorage()
    store = newReplica(storage).store
  })

  beforeEach(() => storage.query('TRUNCATE operations'))
  after(() => storage.close())

  it('finds an operation as it was created', async () => {
    const { operation, isReplay } = await store.create('shop', asked(RETRY, FILTER, { ratePerSecond: undefined, isDryRun: true }))
    const { change, filter, isDryRun, ratePerSecond, state, finishedAt } = operation
    assert.deepEqual(
      { change, filter, isDryRun, ratePerSecond, state, finishedAt, isReplay },
      { ...asked(RETRY, FILTER, { ratePerSecond: 50, isDryRun: true }), state: 'counting', finishedAt: null, isReplay: false },
    )
    assert.deepEqual(await store.find('shop', operation.id), operation)
  })

  it('neither finds, lists nor aborts an operation of another workspace', async () => {
    const { operation } = await store.create('shop', asked(RETRY))
    const page = { limit: 10, position: undefined }
    assert.deepEqual(
      [await store.find('lab', operation.id), await store.list('lab', page), await store.abort('lab', operation.id)],
      [undefined, [], false],
    )
    assert.equal((await store.find('shop', operation.id))?.state, 'counting')
  })

  it('creates one operation for a key, on whichever replica', async () => {
    const request = asked(RETRY, FILTER, { ratePerSecond: undefined })
    const created = await Promise.all([newReplica(storage), newReplica(storage)].map(replica => replica.store.create('shop', request, 'k')))
    const other = await store.create('lab', request, 'k')
    assert.equal(new Set(created.map(({ operation }) => operation.id)).size, 1)
    assert.deepEqual(created.map(({ isReplay }) => isReplay).toSorted(), [false, true])
    assert.deepEqual([other.isReplay, other.operation.workspace], [false, 'lab'])
  })

  for (const [what, request] of Object.entries({
    change: asked({ kind: 'cancel' }, FILTER),
    filter: asked(RETRY, { ...FILTER, reason: 'timeout' }),
    'dry run': asked(RETRY, FILTER, { isDryRun: true }),
    rate: asked(RETRY, FILTER, { ratePerSecond: 1 }),
  })) {
    it(`refuses a key that came with another ${what}`, async () => {
      await store.create('shop', asked(RETRY, FILTER), 'k')
      await assert.rejects(store.create('shop', request, 'k'), IdempotencyKeyReusedError)
    })
  }

  it('bounds the unfinished operations of a workspace, but not repeated requests and not other workspaces', async () => {
    for (let i = 0; i < MAX_OPERATIONS; i += 1) await store.create('shop', asked(RETRY), `k${i}`)
    await assert.rejects(store.create('shop', asked(RETRY)), TooManyOperationsError)
    const { operation, isReplay } = await store.create('shop', asked(RETRY), 'k0')
    assert.equal(isReplay, true)
    assert.equal((await store.create('lab', asked(RETRY))).isReplay, false)
    await store.abort('shop', operation.id)
    assert.equal((await store.create('shop', asked(RETRY))).isReplay, false)
  })

  it('says of an operation that has ended that it exists, and leaves its end as it was', async () => {
    const { operation } = await store.create('shop', asked(RETRY))
    await storage.query(`UPDATE operations SET state = 'completed', finished_at = '2026-01-01'`)
    assert.deepEqual([await store.abort('shop', operation.id), await store.abort('shop', NOBODY)], [true, false])
    const found = await store.find('shop', operation.id)
    assert.deepEqual([found?.state, found?.finishedAt], ['completed', new Date('2026-01-01T00:00:00Z')])
  })

  it('lists operations, newest first, and pages both ways', async () => {
    for (const second of ['01', '02', '03.000001', '03.000002']) {
      await store.create('shop', asked({ kind: 'prioritise', priority: Math.floor(Number(second)) }))
      await storage.query(`UPDATE operations SET created_at = $1 WHERE created_at > now() - interval '1 hour'`, [
        `2026-01-01T00:00:${second}Z`,
      ])
    }
    const secondsOf = (found: Awaited<ReturnType<typeof store.list>>) => found.map(({ createdAt }) => createdAt.getUTCSeconds())
    const all = await store.list('shop', { limit: 10, position: undefined })
    assert.deepEqual(secondsOf(all), [3, 3, 2, 1])
    const key = all[1]?.position ?? assert.fail('there is no second operation')
    assert.deepEqual(secondsOf(await store.list('shop', { limit: 1, position: { direction: 'after', key } })), [2])
    assert.deepEqual(await store.list('shop', { limit: 5, position: { direction: 'before', key } }), [all[0]])
  })

  it('deletes only operations that ended longer ago than the retention', async () => {
    const kept = await Promise.all([store.create('shop', asked(RETRY)), store.create('shop', asked(RETRY))])
    const gone = await store.create('shop', asked(RETRY))
    await storage.query(`UPDATE operations SET created_at = now() - interval '1 year'`)
    await storage.query(`UPDATE operations SET finished_at = now() - interval '59 s' WHERE id = $1`, [kept[0]?.operation.id])
    await storage.query(`UPDATE operations SET finished_at = now() - interval '61 s' WHERE id = $1`, [gone.operation.id])
    assert.equal(await store.prune(60), 1)
    assert.equal(await store.find('shop', gone.operation.id), undefined)
  })
})
