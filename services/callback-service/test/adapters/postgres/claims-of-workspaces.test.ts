import assert from 'node:assert/strict'
import { CallbackClaims } from '../../../adapters/postgres/callback-claims.ts'
import type { Database } from '../../../adapters/postgres/database.ts'
import { DatabaseClock } from '../../../adapters/postgres/database-clock.ts'
import { dueWorkspaces } from '../../../adapters/postgres/due-workspaces.ts'
import type { ClaimShare } from '../../../domain/processing/claim-quota.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const WORKER = 1
const share = (workspace: string, changes: Partial<ClaimShare> = {}): ClaimShare => ({
  workspace,
  callbacks: 10,
  objects: 1_000_000,
  minAgeMs: 0,
  ...changes,
})

describe('CallbackClaims, of several workspaces', () => {
  let storage: TestStorage
  let database: Database
  let claims: CallbackClaims

  before(async () => {
    storage = await openTestStorage()
    database = storage.open()
  })

  beforeEach(async () => {
    await storage.query('TRUNCATE callbacks, objects')
    await storage.query(`DELETE FROM workspaces WHERE name <> 'default'`)
    claims = new CallbackClaims({ prisma: database.prisma, clock: new DatabaseClock(), maxCrashes: 6 })
  })

  after(() => storage.close())

  const claimed = async (...shares: ClaimShare[]): Promise<string[]> =>
    (await claims.claim(WORKER, { shares })).map(({ workspace }) => workspace)

  it('sends no statement for no share', async () => {
    claims = new CallbackClaims({ prisma: {} as Database['prisma'], clock: new DatabaseClock(), maxCrashes: 6 })
    assert.deepEqual(await claims.claim(WORKER, { shares: [] }), [])
  })

  it('returns the callbacks of the workspaces in turn, each with its workspace', async () => {
    for (const workspace of ['a', 'a', 'a', 'b', 'b', 'c', 'other']) await putCallback(storage, { workspace })
    assert.deepEqual(await claimed(share('a'), share('b'), share('c')), ['a', 'b', 'c', 'a', 'b', 'a'])
  })

  it('bounds callbacks, objects and age of each workspace apart', async () => {
    for (let i = 0; i < 5; i += 1)
      for (const workspace of ['a', 'b', 'c']) await putCallback(storage, { workspace, objectIds: [1n, 2n, 3n], dueInMs: -1000 })
    await putCallback(storage, { workspace: 'c', dueInMs: -9000 })
    const names = await claimed(share('a', { callbacks: 2 }), share('b', { objects: 7 }), share('c', { minAgeMs: 5000 }))
    assert.deepEqual(names.toSorted(), ['a', 'a', 'b', 'b', 'b', 'c'])
  })

  it('gives two workers that claim at once different callbacks', async () => {
    const names = ['a', 'b', 'c']
    for (let i = 0; i < 60; i += 1) await putCallback(storage, { workspace: names[i % 3] as string })
    const other = new CallbackClaims({ prisma: storage.open().prisma, clock: new DatabaseClock(), maxCrashes: 6 })
    const shares = names.map(name => share(name, { callbacks: 5 }))
    const takes = await Promise.all(Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? claims : other).claim(i % 2, { shares })))
    const ids = takes.flat().map(({ id }) => id)
    assert.ok(ids.length >= 15, `${ids.length} claimed`)
    assert.equal(new Set(ids).size, ids.length)
  })

  it('counts a stored object as fresh only in the workspace of the callback, by what that workspace keeps', async () => {
    await storage.query(`INSERT INTO workspaces (name, keep_offline) VALUES ('drops', false), ('keeps', true), ('other', true)`)
    for (const workspace of ['drops', 'keeps']) {
      const id = await putCallback(storage, { workspace, objectIds: [1n, 2n, 3n] })
      await storage.query(
        `INSERT INTO objects (workspace, id, online, fetched_at, stored_at, expires_at, callback_id)
         SELECT CASE o.id WHEN 3 THEN 'other' ELSE $2 END, o.id, o.id <> 2, now(), now(), now() + interval '1 hour', $1
         FROM generate_series(1, 3) AS o(id) ON CONFLICT DO NOTHING`,
        [id, workspace],
      )
    }
    await storage.query('UPDATE callbacks SET attempts = 1')
    const callbacks = await claims.claim(WORKER, { shares: [share('drops'), share('keeps')] })
    assert.deepEqual(
      callbacks.map(({ missingIds }) => missingIds),
      [[2n, 3n], [3n]],
    )
  })

  it('claims suspects of every workspace that is not excluded', async () => {
    for (const workspace of ['a', 'b', 'c']) await putCallback(storage, { workspace })
    await storage.query('UPDATE callbacks SET crashes = 4')
    const callbacks = await claims.claim(WORKER, { suspects: { crashes: 4, callbacks: 10, objects: 100, excluded: ['b'] } })
    assert.deepEqual(callbacks.map(({ workspace }) => workspace).toSorted(), ['a', 'c'])
  })

  describe('with 1,000 workspaces of 100 waiting callbacks, and one of 100,000 that are not due', function () {
    this.timeout(120_000)

    beforeEach(async () => {
      await storage.query(
        `INSERT INTO callbacks (id, workspace, object_ids) SELECT gen_random_uuid(), 'w' || i % 1000, '{1}' FROM generate_series(1, 100000) i`,
      )
      await storage.query(
        `INSERT INTO callbacks (id, workspace, object_ids, due_at) SELECT gen_random_uuid(), 'later', '{1}', now() + interval '1 hour' FROM generate_series(1, 100000) i`,
      )
      await storage.query('VACUUM ANALYZE callbacks')
    })

    /** @returns how many pages of `callbacks` and its indexes the work reads, and how often it scans the whole table */
    async function pagesReadBy(work: () => Promise<unknown>): Promise<{ pages: number; tableScans: number }> {
      const read = async () => {
        await storage.query('SELECT pg_stat_force_next_flush()')
        const [row] = await storage.query<{ pages: string; scans: string }>(
          `SELECT heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit AS pages, seq_scan AS scans
           FROM pg_statio_user_tables JOIN pg_stat_user_tables USING (relid) WHERE pg_statio_user_tables.relname = 'callbacks'`,
        )
        return { pages: Number(row?.pages), scans: Number(row?.scans) }
      }
      const before = await read()
      await work()
      await database.prisma.$queryRaw`SELECT pg_stat_force_next_flush()::text`
      await database.prisma.$queryRaw`SELECT pg_stat_force_next_flush()::text`
      const after = await read()
      return { pages: after.pages - before.pages, tableScans: after.scans - before.scans }
    }

    it('claims and surveys through the index, without reading the backlog', async () => {
      const one = storage.open({ maxConnections: 1 })
      database = one
      claims = new CallbackClaims({ prisma: one.prisma, clock: new DatabaseClock(), maxCrashes: 6 })
      const shares = Array.from({ length: 8 }, (_, i) => share(`w${i * 100}`, { callbacks: 4 }))
      const claim = await pagesReadBy(async () => assert.equal((await claims.claim(WORKER, { shares })).length, 32))
      const survey = await pagesReadBy(async () => assert.equal((await dueWorkspaces(one.prisma, { maxCrashes: 6 })).length, 1000))
      assert.deepEqual([claim.tableScans, survey.tableScans], [0, 0])
      assert.ok(claim.pages > 0 && claim.pages < 1500, `the claim read ${claim.pages} pages`)
      assert.ok(survey.pages > 1000 && survey.pages < 40_000, `the survey read ${survey.pages} pages`)
    })
  })
})
