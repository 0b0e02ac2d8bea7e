import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { type Batch, type ChangeSource, type Listener, WorkspaceFeed } from '../../workers/workspace-feed.ts'
import { changed } from '../domain/streaming/changed.ts'

const SECOND_US = 1_000_000
const NOW_US = 100_000 * SECOND_US
const LOOK = { nowUs: NOW_US, horizonUs: NOW_US, clockStep: 0 }

type Read = Parameters<ChangeSource['read']>[0]
type Page = Awaited<ReturnType<ChangeSource['read']>>

const EMPTY: Page = { callbacks: [], snapshot: 's', moreFromUs: undefined }

describe('WorkspaceFeed', () => {
  let reads: Read[]
  let pages: (Page | Error)[]
  let feed: WorkspaceFeed
  let slowMs: number

  beforeEach(() => {
    ;[reads, pages, slowMs] = [[], [], 0]
    const source: ChangeSource = {
      look: async () => LOOK,
      read: async query => {
        reads.push(query)
        await sleep(slowMs)
        const page = pages.shift() ?? EMPTY
        if (page instanceof Error) throw page
        return page
      },
      unfinished: async () => ({ callbacks: [changed()], snapshot: 'first' }),
    }
    feed = new WorkspaceFeed({ source, workspace: 'default', maxAgeMs: 600_000 })
  })

  function join(from?: Listener['from']) {
    const batches: Batch[] = []
    const reasons: string[] = []
    const listener: Listener = {
      workspace: 'default',
      objectId: undefined,
      from,
      deliver: batch => batches.push(batch),
      startOver: reason => reasons.push(reason),
    }
    feed.add(listener)
    return { listener, batches, reasons }
  }

  it('begins with the unfinished callbacks, and goes on from their snapshot', async () => {
    const { batches } = join()
    await feed.poll(LOOK)
    await feed.poll({ ...LOOK, nowUs: NOW_US + SECOND_US })
    assert.deepEqual(batches[0], {
      callbacks: [changed()],
      kind: 'unfinished',
      position: { atUs: NOW_US - SECOND_US, clockStep: 0 },
      isCurrent: true,
    })
    assert.deepEqual([reads.length, reads[0]?.fromUs, reads[0]?.seen], [1, NOW_US - SECOND_US, 'first'])
    assert.equal(batches[1]?.isCurrent, false)
  })

  it('stays at the horizon while a transaction holds it up, and never goes back', async () => {
    join()
    await feed.poll(LOOK)
    for (const horizonUs of [NOW_US + 9 * SECOND_US, NOW_US + 2 * SECOND_US])
      await feed.poll({ ...LOOK, nowUs: NOW_US + 9 * SECOND_US, horizonUs })
    await feed.poll(LOOK)
    assert.deepEqual(
      reads.map(({ fromUs }) => (fromUs - NOW_US) / SECOND_US),
      [-1, 8, 8],
    )
  })

  it('reads on while the limit cuts it short, keeps the snapshot of the first page, and says when it is done', async () => {
    const { batches } = join()
    await feed.poll(LOOK)
    pages = [
      { callbacks: [changed()], snapshot: 'a', moreFromUs: NOW_US },
      { callbacks: [changed()], snapshot: 'b', moreFromUs: NOW_US },
      EMPTY,
    ]
    await feed.poll(LOOK)
    await feed.poll(LOOK)
    assert.deepEqual(
      batches.slice(1, 4).map(({ position, isCurrent }) => [position !== undefined, isCurrent]),
      [
        [false, false],
        [false, false],
        [true, true],
      ],
    )
    // The second page ends where it began, so the third must be larger.
    assert.deepEqual(
      reads.map(({ limit, seen }) => [limit, seen]),
      [
        [1000, 'first'],
        [1000, 'first'],
        [2000, 'first'],
        [1000, 'a'],
      ],
    )
  })

  it('leaves the rest of the changes to the next poll when its listeners got much, and asks for a rest', async () => {
    const { batches } = join()
    for (let i = 1; i < 100; i += 1) join()
    await feed.poll(LOOK)
    const many = Array.from({ length: 200 }, () => changed())
    pages = [
      { callbacks: many, snapshot: 'a', moreFromUs: NOW_US },
      { callbacks: [changed()], snapshot: 'b', moreFromUs: undefined },
    ]
    const restMs = await feed.poll(LOOK)
    assert.deepEqual([batches.length, batches.at(-1)?.position], [2, undefined])
    assert.equal(restMs, 400, '200 callbacks to 100 listeners, at 50,000 a second')
    await feed.poll({ ...LOOK, horizonUs: NOW_US + SECOND_US })
    assert.deepEqual([reads[1]?.fromUs, reads[1]?.seen], [NOW_US, 'first'])
    assert.deepEqual([batches.length, batches.at(-1)?.isCurrent], [3, true])
    assert.deepEqual(batches.at(-1)?.position, { atUs: NOW_US - SECOND_US, clockStep: 0 }, 'later changes were not looked for')
    await feed.poll(LOOK)
    assert.deepEqual([reads[2]?.fromUs, reads[2]?.seen], [NOW_US - SECOND_US, 'a'])
  })

  it('goes on from the same place after an error, with all changes since, and says when it is current again', async () => {
    const { batches } = join()
    await feed.poll(LOOK)
    pages = [new StorageUnavailableError('away')]
    await assert.rejects(feed.poll({ ...LOOK, horizonUs: NOW_US + SECOND_US }))
    await feed.poll({ ...LOOK, horizonUs: NOW_US + SECOND_US })
    assert.deepEqual([reads[1]?.fromUs, reads[1]?.seen], [reads[0]?.fromUs, undefined])
    assert.equal(batches.at(-1)?.isCurrent, true)
  })

  it('catches up from a position, before anything else', async () => {
    const { batches } = join({ atUs: NOW_US - 60 * SECOND_US, clockStep: 0 })
    await feed.poll(LOOK)
    assert.deepEqual([reads[0]?.fromUs, reads[0]?.seen], [NOW_US - 60 * SECOND_US, undefined])
    assert.deepEqual(batches, [{ callbacks: [], kind: 'changes', position: { atUs: NOW_US - SECOND_US, clockStep: 0 }, isCurrent: true }])
  })

  it('reads once for all that go on from the same position', async () => {
    const joined = Array.from({ length: 50 }, () => join({ atUs: NOW_US - SECOND_US, clockStep: 0 }))
    await feed.poll(LOOK)
    assert.equal(reads.length, 1)
    assert.ok(joined.every(({ batches }) => batches.length === 1))
  })

  for (const [fact, from] of [
    ['of another clock step', { atUs: NOW_US, clockStep: 1 }],
    ['in the future', { atUs: NOW_US + 1, clockStep: 0 }],
    ['older than the changes that can be found', { atUs: NOW_US - 601 * SECOND_US, clockStep: 0 }],
  ] as const) {
    it(`sends a listener away that comes with a position ${fact}`, async () => {
      const { batches, reasons } = join(from)
      for (let i = 0; i < 2; i += 1) await feed.poll(LOOK)
      assert.deepEqual([batches.length, reasons.length, feed.isEmpty], [0, 1, true])
    })
  }

  it('lets few catch up in one poll while that takes long, so that those who listen get their changes', async () => {
    slowMs = 60
    const joined = Array.from({ length: 3 }, (_, i) => join({ atUs: NOW_US - i * SECOND_US, clockStep: 0 }))
    await feed.poll(LOOK)
    assert.equal(reads.length, 1)
    for (let i = 0; i < 2; i += 1) await feed.poll(LOOK)
    assert.ok(joined.every(({ batches }) => batches.length > 0))
  })

  it('waits for the next look if a listener comes from a replica that looked later', async () => {
    const { batches, reasons } = join({ atUs: NOW_US + SECOND_US, clockStep: 0 })
    await feed.poll(LOOK)
    await feed.poll({ ...LOOK, nowUs: NOW_US + 2 * SECOND_US, horizonUs: NOW_US + 2 * SECOND_US })
    assert.deepEqual([reasons, batches.length], [[], 1])
  })

  it('sends a listener away that would have to catch up on too much', async () => {
    const { reasons } = join({ atUs: NOW_US - SECOND_US, clockStep: 0 })
    pages = Array.from({ length: 11 }, (_, i) => ({ callbacks: Array(1000).fill(changed()), snapshot: 's', moreFromUs: NOW_US + i }))
    await feed.poll(LOOK)
    assert.deepEqual(reasons, ['there are too many changes since then'])
  })

  it('sends a listener away whose catch-up fails three times, and serves the others', async () => {
    const { reasons } = join({ atUs: NOW_US - SECOND_US, clockStep: 0 })
    const other = join()
    pages = Array.from({ length: 5 }, (_, i) => (i % 2 === 0 ? new StorageUnavailableError('too slow') : EMPTY))
    for (let i = 0; i < 3; i += 1) await assert.rejects(feed.poll(LOOK))
    assert.equal(reasons.length, 1)
    assert.ok(other.batches.length > 1)
  })

  it('sends all away if the database was away for longer than the changes can be found', async () => {
    const { reasons } = join()
    await feed.poll(LOOK)
    await feed.poll({ ...LOOK, nowUs: NOW_US + 601 * SECOND_US })
    assert.equal(reasons.length, 1)
  })

  it('lets others have their turn while many listeners get their changes', async () => {
    const busy = (): void => {
      for (const until = performance.now() + 15; performance.now() < until; );
    }
    for (let i = 0; i < 10; i += 1) feed.add({ ...join().listener, deliver: busy })
    let turns = 0
    const others = setInterval(() => {
      turns += 1
    }, 1)
    await feed.poll(LOOK)
    clearInterval(others)
    assert.ok(turns >= 5, `${turns} turns`)
  })

  it('delivers nothing to a listener that has left', async () => {
    const { listener, batches } = join()
    feed.remove(listener)
    await feed.poll(LOOK)
    assert.deepEqual([batches.length, feed.isEmpty], [0, true])
  })
})
