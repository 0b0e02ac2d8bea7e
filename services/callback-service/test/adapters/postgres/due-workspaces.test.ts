import assert from 'node:assert/strict'
import { dueWorkspaces } from '../../../adapters/postgres/due-workspaces.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

describe('dueWorkspaces', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(() => storage.query('TRUNCATE callbacks'))

  after(() => storage.close())

  const due = () => dueWorkspaces(storage.open().prisma, { maxCrashes: 6 })

  it('finds nothing in an empty table', async () => {
    assert.deepEqual(await due(), [])
  })

  it('names each workspace with a callback that is due, once and in order', async () => {
    for (const workspace of ['shop', 'Bank', 'shop', 'default', '-', 'zoo']) await putCallback(storage, { workspace })
    assert.deepEqual(await due(), ['-', 'Bank', 'default', 'shop', 'zoo'])
  })

  it('finds a callback that is due behind more urgent ones that are not', async () => {
    for (const priority of [9, 8, 7]) await putCallback(storage, { workspace: 'a', priority, dueInMs: 60_000 })
    await putCallback(storage, { workspace: 'a', priority: -3 })
    await putCallback(storage, { workspace: 'b', dueInMs: 60_000 })
    await putCallback(storage, { workspace: 'c' })
    assert.deepEqual(await due(), ['a', 'c'])
  })

  it('does not name a workspace whose callbacks are running, finished, or due later', async () => {
    await putCallback(storage, { workspace: 'later', dueInMs: 60_000 })
    await putCallback(storage, { workspace: 'finished', finishedAgoMs: 1 })
    await putCallback(storage, { workspace: 'running' })
    await storage.query(`UPDATE callbacks SET state = 'running' WHERE workspace = 'running'`)
    assert.deepEqual(await due(), [])
  })

  it('does not name a workspace that has only suspects, but one that has others behind them', async () => {
    for (const workspace of ['suspects', 'both', 'condemned']) await putCallback(storage, { workspace, dueInMs: -9000 })
    await storage.query(`UPDATE callbacks SET crashes = CASE workspace WHEN 'condemned' THEN 6 ELSE 3 END`)
    await putCallback(storage, { workspace: 'both' })
    assert.deepEqual(await due(), ['both', 'condemned'])
  })
})
