import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../../../../test/support/eventually.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { ChangePoller } from '../../workers/change-poller.ts'
import type { Batch, ChangeSource } from '../../workers/workspace-feed.ts'
import { changed } from '../domain/streaming/changed.ts'
import { logger } from './silent-logger.ts'

type Read = Parameters<ChangeSource['read']>[0]

describe('ChangePoller', function () {
  this.timeout(10_000)
  let poller: ChangePoller
  let reads: Read[]
  let isAway: boolean
  let slowness: ReadonlyMap<string, number>
  let refusals: number

  beforeEach(() => {
    reads = []
    isAway = false
    slowness = new Map()
    refusals = 0
    const startedMs = performance.now()
    const source: ChangeSource = {
      look: async () => {
        if (isAway) {
          refusals += 1
          throw new StorageUnavailableError('away')
        }
        const nowUs = Math.round((performance.now() - startedMs + 1e9) * 1000)
        return { nowUs, horizonUs: nowUs, clockStep: 0 }
      },
      read: async query => {
        reads.push(query)
        await sleep(slowness.get(query.workspace) ?? 0)
        return { callbacks: [changed()], snapshot: 'later', moreFromUs: undefined }
      },
      unfinished: async () => ({ callbacks: [], snapshot: 'first' }),
    }
    poller = new ChangePoller({ source, retentionMs: () => 3_600_000, logger })
    poller.start()
  })

  afterEach(() => poller.stop())

  function listen(workspace: string) {
    const batches: Batch[] = []
    poller.listen({ workspace, objectId: undefined, from: undefined, deliver: batch => batches.push(batch), startOver: () => undefined })
    return batches
  }

  it('leaves out what the last snapshot showed, until the database was away: then it may be another server', async () => {
    const batches = listen('default')
    await eventually('it follows', () => reads.length === 2)
    assert.deepEqual(
      reads.map(({ seen }) => seen),
      ['first', 'later'],
    )
    isAway = true
    await eventually('it has noticed', () => refusals > 0)
    const [seen, got] = [reads.length, batches.length]
    isAway = false
    await eventually('it follows again', () => reads.length > seen)
    assert.equal(reads[seen]?.seen, undefined)
    await eventually('it says so', () => batches.length > got)
    assert.equal(batches[got]?.isCurrent, true)
  })

  it('looks at the other workspaces as often as ever while the changes of one take long to read', async () => {
    slowness = new Map([['slow', 400]])
    listen('slow')
    listen('fast')
    await eventually('it has read both', () => ['slow', 'fast'].every(name => reads.some(({ workspace }) => workspace === name)))
    await eventually('the fast one ten times', () => reads.filter(({ workspace }) => workspace === 'fast').length > 10)
    assert.ok(reads.filter(({ workspace }) => workspace === 'slow').length <= 3)
  })
})
