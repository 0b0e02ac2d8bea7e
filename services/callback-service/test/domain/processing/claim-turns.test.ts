import assert from 'node:assert/strict'
import { seededRandom } from '../../../../../test/chaos/random.ts'
import { type ClaimShare, claimRoom } from '../../../domain/processing/claim-quota.ts'
import { ClaimTurns, type ClaimTurnsOptions, type TurnTaker } from '../../../domain/processing/claim-turns.ts'
import type { ClaimedCallback } from '../../../domain/processing/claimed-callback.ts'

const CLOSED = { state: 'closed', waitMs: 0 } as const
const FREE = { inFlight: 0, waiting: 0 }

function callback(workspace: string, objects: number): ClaimedCallback {
  return {
    id: '',
    workspace,
    token: '',
    attempt: 1,
    crashes: 0,
    missingIds: Array.from({ length: objects }, (_, i) => BigInt(i)),
    unstored: [],
    receivedAtMs: 0,
    waitedMs: 0,
    freshFromMs: 0,
    trace: {},
    requestId: undefined,
  }
}

/** Makes turns over workspaces that the test changes, and requests that it counts. */
function setup(options: { maxRunning?: number; concurrency?: number } = {}) {
  const takers = new Map<string, TurnTaker>()
  const requests = { ...FREE, concurrency: options.concurrency ?? 512, of: new Map<string, { inFlight: number; waiting: number }>() }
  const known: ClaimTurnsOptions['requests'] = Object.assign(requests, { requestsOf: (name: string) => requests.of.get(name) ?? FREE })
  const turns = new ClaimTurns({ find: name => takers.get(name), requests: known, maxRunning: options.maxRunning ?? 1000 })
  return {
    turns,
    requests,
    add: (name: string, changes: Partial<TurnTaker> = {}): void => {
      takers.set(name, { isPaused: false, weight: 1, breaker: CLOSED, ...changes })
      turns.arrived(name)
    },
    /** Claims once, from backlogs of callbacks with that many objects. @returns the callbacks */
    claim: (objectsOf: (workspace: string) => number): ClaimedCallback[] => {
      const shares = turns.shares() ?? []
      const claimed = shares.flatMap(share => take(share, objectsOf))
      turns.claimed(shares, claimed)
      for (const one of claimed) turns.left(one)
      return claimed
    },
  }
}

/** Claims from an endless backlog, as the database does: the callback that fills the share is claimed whole. */
function take({ workspace, callbacks, objects }: ClaimShare, objectsOf: (workspace: string) => number): ClaimedCallback[] {
  const taken: ClaimedCallback[] = []
  for (let sum = 0; taken.length < callbacks && sum < objects; ) {
    const size = objectsOf(workspace)
    taken.push(callback(workspace, size))
    sum += size
  }
  return taken
}

const namesOf = (shares: readonly ClaimShare[] | undefined): string[] | undefined => shares?.map(({ workspace }) => workspace)

describe('ClaimTurns', () => {
  it('claims nothing while no workspace is active', () => {
    const { turns } = setup()
    assert.deepEqual([turns.shares(), turns.hasActive], [[], false])
  })

  for (const [running, inFlight, waiting] of [
    [0, 0, 0],
    [990, 100, 0],
    [999, 512, 511],
    [1000, 0, 0],
    [50, 512, 512],
    [50, 512, 2047],
    [50, 512, 2048],
  ] as const) {
    it(`is the room of the process with one workspace: ${running} running, ${inFlight} under way, ${waiting} waiting`, () => {
      const { turns, requests, add } = setup()
      add('a')
      turns.claimed([], Array(running).fill(callback('a', 1)))
      Object.assign(requests, { inFlight, waiting }).of.set('a', { inFlight, waiting })
      const room = claimRoom({ running, maxRunning: 1000, requests, breaker: CLOSED })
      assert.deepEqual(turns.shares(), room && [{ workspace: 'a', ...room }])
    })
  }

  it('divides a claim between the workspaces, no matter how much each has waiting', () => {
    const { turns, add } = setup()
    for (const name of ['a', 'b', 'c']) add(name)
    const shares = turns.shares() ?? []
    assert.deepEqual(namesOf(shares), ['a', 'b', 'c'])
    assert.deepEqual(
      shares.map(({ callbacks }) => callbacks),
      [10, 10, 10],
    )
    assert.ok(shares.reduce((sum, { objects }) => sum + objects, 0) <= 1025)
  })

  it('claims for at most eight workspaces in one statement, then for the next ones', () => {
    const { add, claim } = setup()
    for (let i = 0; i < 20; i += 1) add(`w${i}`)
    const served = [1, 2, 3].map(() => new Set(claim(() => 5).map(({ workspace }) => workspace)))
    assert.deepEqual(
      served.map(({ size }) => size),
      [8, 8, 8],
    )
    assert.equal(new Set(served.flatMap(names => [...names])).size, 20)
  })

  it('serves a newcomer first, however much the others have had', () => {
    const { turns, add, claim } = setup()
    for (let i = 0; i < 20; i += 1) add(`hog ${i}`)
    for (let i = 0; i < 100; i += 1) claim(() => 10)
    add('new')
    assert.ok(namesOf(turns.shares())?.includes('new'))
  })

  for (const [what, sizes] of [
    ['callbacks of equal size', [10, 10, 10]],
    ['small callbacks against large ones', [1, 30, 1000]],
    ['callbacks without objects', [0, 0, 0]],
  ] as const) {
    it(`divides 10,000 claims by weight within 5 %: ${what}`, () => {
      const seed = Date.now()
      const random = seededRandom(seed)
      const { add, claim } = setup()
      const weights = { a: 1, b: 2, c: 5 }
      for (const [name, weight] of Object.entries(weights)) add(name, { weight })
      const had: Record<string, number> = { a: 0, b: 0, c: 0 }
      const sizeOf = (name: string): number => Math.round((sizes['abc'.indexOf(name)] ?? 0) * (0.5 + random()))
      for (let i = 0; i < 10_000; i += 1)
        for (const { workspace, missingIds } of claim(sizeOf)) had[workspace] = (had[workspace] ?? 0) + Math.max(1, missingIds.length)
      const total = Object.values(had).reduce((sum, count) => sum + count, 0)
      for (const [name, weight] of Object.entries(weights)) {
        const share = (had[name] ?? 0) / total
        assert.ok(Math.abs(share / (weight / 8) - 1) <= 0.05, `${name} had ${share} with weight ${weight} of 8, seed ${seed}`)
      }
    })
  }

  it('gives a workspace that paused no turns for the time of its pause', () => {
    const { turns, add, claim } = setup()
    add('a', { isPaused: true })
    add('b')
    for (let i = 0; i < 100; i += 1) assert.ok(claim(() => 10).every(({ workspace }) => workspace === 'b'))
    add('a')
    assert.deepEqual(namesOf(turns.shares())?.toSorted(), ['a', 'b'])
  })

  it('gives a workspace that had nothing to do no turns for that time, even if one of its callbacks still runs', () => {
    const { turns, add, claim } = setup()
    add('a')
    add('b')
    turns.claimed(turns.shares() ?? [], [callback('b', 1)])
    turns.arrived('a')
    for (let i = 0; i < 20; i += 1) claim(() => 5)
    turns.arrived('b')
    const served = Map.groupBy(
      claim(() => 5),
      ({ workspace }) => workspace,
    )
    // b is a little behind, by the last claim of a.
    assert.ok((served.get('a')?.length ?? 0) > 8 && (served.get('b')?.length ?? 0) > 8, JSON.stringify([...served.keys()]))
  })

  it('claims nothing for a workspace that it does not know, or that is paused', () => {
    const { turns, add } = setup()
    add('a', { isPaused: true })
    turns.arrived('unknown')
    assert.deepEqual([turns.shares(), turns.hasActive], [undefined, true])
  })

  it('claims nothing for the workspaces of a client service that gets no requests, and goes on with the others', () => {
    const { turns, add } = setup()
    const open = { state: 'open', waitMs: 500 } as const
    add('a', { breaker: open })
    add('b', { breaker: open })
    add('c')
    assert.deepEqual(namesOf(turns.shares()), ['c'])
  })

  it('claims one callback to probe with for each client service, for one of its workspaces', () => {
    const { turns, add } = setup()
    const [first, second] = [
      { state: 'half-open', waitMs: 0 },
      { state: 'half-open', waitMs: 0 },
    ] as const
    add('a', { breaker: first })
    add('b', { breaker: first })
    add('c', { breaker: second })
    assert.deepEqual(
      turns.shares()?.map(({ workspace, callbacks }) => [workspace, callbacks]),
      [
        ['a', 1],
        ['c', 1],
      ],
    )
  })

  it('leaves a workspace out that had less than asked for, until it is noted again', () => {
    const { turns, add } = setup()
    add('a')
    const shares = turns.shares() ?? []
    turns.claimed(shares, [callback('a', 1)])
    assert.equal(turns.hasActive, false)
    turns.arrived('a')
    assert.deepEqual(namesOf(turns.shares()), ['a'])
  })

  it('keeps a workspace that was noted while its claim was under way', () => {
    const { turns, add } = setup()
    add('a')
    const shares = turns.shares() ?? []
    turns.arrived('a')
    turns.claimed(shares, [])
    assert.equal(turns.hasActive, true)
  })

  it('keeps a workspace whose callbacks fill its share with objects', () => {
    const { turns, add } = setup()
    add('a')
    const shares = turns.shares() ?? []
    turns.claimed(shares, [callback('a', 2000)])
    assert.equal(turns.hasActive, true)
  })

  it('claims for a newcomer at once if another workspace fills the process', () => {
    const { turns, requests, add } = setup({ maxRunning: 100, concurrency: 10 })
    add('hog')
    turns.claimed([], Array(100).fill(callback('hog', 1)))
    Object.assign(requests, { inFlight: 10, waiting: 40 }).of.set('hog', { inFlight: 10, waiting: 40 })
    assert.equal(turns.shares(), undefined)
    add('new')
    assert.deepEqual(turns.shares(), [{ workspace: 'new', callbacks: 32, objects: 10, minAgeMs: 0 }])
  })

  for (const [what, changes] of [
    ['that is paused', { isPaused: true }],
    ['whose client service is down', { breaker: { state: 'open', waitMs: 500 } }],
    ['whose client service asked for a pause', { breaker: { state: 'closed', waitMs: 500 } }],
  ] as const) {
    it(`leaves a newcomer its share, whatever the weight of a workspace ${what}`, () => {
      const { turns, requests, add } = setup({ maxRunning: 100, concurrency: 10 })
      add('hog')
      turns.claimed([], Array(100).fill(callback('hog', 1)))
      Object.assign(requests, { inFlight: 10, waiting: 40 }).of.set('hog', { inFlight: 10, waiting: 40 })
      add('heavy', { weight: 1000, ...changes })
      add('new')
      const share = turns.shares()?.find(({ workspace }) => workspace === 'new')
      assert.ok(share && share.callbacks > 1 && share.objects > 2, JSON.stringify(share))
    })
  }

  describe('while another workspace fills the process with its last callbacks', () => {
    function filled() {
      const made = setup({ maxRunning: 10 })
      made.add('hog')
      made.turns.claimed(made.turns.shares() ?? [], Array(10).fill(callback('hog', 1)))
      made.turns.claimed(made.turns.shares() ?? [{ workspace: 'hog', callbacks: 1, objects: 1, minAgeMs: 0 }], [])
      made.add('b')
      return made
    }

    it('claims for a newcomer no more than its share', () => {
      assert.deepEqual(
        filled()
          .turns.shares()
          ?.map(({ workspace, callbacks }) => [workspace, callbacks]),
        [['b', 5]],
      )
    })

    it('claims for it again as soon as its callbacks have left', () => {
      const { turns } = filled()
      const own = Array<ClaimedCallback>(5).fill(callback('b', 1))
      turns.claimed(turns.shares() ?? [], own)
      turns.arrived('b')
      assert.equal(turns.shares(), undefined)
      for (const one of own) turns.left(one)
      assert.deepEqual(namesOf(turns.shares()), ['b'])
    })
  })

  it('claims nothing at all beyond twice the bounds of the process', () => {
    const { turns, add } = setup({ maxRunning: 100 })
    add('hog')
    turns.claimed([], Array(200).fill(callback('hog', 1)))
    add('new')
    assert.equal(turns.shares(), undefined)
    turns.left(callback('hog', 1))
    assert.deepEqual(namesOf(turns.shares()), ['new'])
  })

  it('has room only while the process may run more', () => {
    const { turns } = setup({ maxRunning: 10 })
    turns.claimed([], Array(7).fill(callback('a', 1)))
    assert.equal(turns.room?.callbacks, 3)
    turns.claimed([], Array(3).fill(callback('a', 1)))
    assert.equal(turns.room, undefined)
  })
})
