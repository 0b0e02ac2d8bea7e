import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../../../../test/support/eventually.ts'
import type { KnownAgent } from '../../domain/agents/agent.ts'
import type { Lease } from '../../domain/leasing/lease.ts'
import type { Candidate } from '../../domain/leasing/matching.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { LeaseDesk, type LeaseDeskOptions } from '../../workers/lease-desk.ts'
import { logger } from './silent-logger.ts'

const POLL_MS = 50
/** So long that no survey but the first finds what a test waits for. */
const RARELY_MS = 600_000

describe('LeaseDesk', () => {
  let desk: LeaseDesk
  let due: Candidate[]
  let held: Map<string, number>
  let finds: number
  let surveys: number
  let granted: string[]
  let returned: string[]
  let isHeldUp: boolean
  let agents: Map<string, KnownAgent>
  /** Runs in each grant, before it happens. */
  let beforeGrant: () => Promise<void>
  let find: LeaseDeskOptions['find']
  /** Runs in each return, before it happens. */
  let beforeReturn: () => Promise<void>

  beforeEach(() => {
    due = []
    held = new Map()
    ;[finds, surveys] = [0, 0]
    ;[granted, returned] = [[], []]
    isHeldUp = false
    agents = new Map()
    beforeGrant = async () => undefined
    beforeReturn = async () => undefined
    find = async ({ limit }) => ({ candidates: due.slice(0, limit), held, next: undefined })
    desk = start()
  })

  afterEach(stop)

  function start({ maxPolls = 100, pollMs = POLL_MS } = {}): LeaseDesk {
    let tokens = 0
    const started = new LeaseDesk({
      maxPolls,
      find: query => {
        finds += 1
        return find(query)
      },
      grant: async wanted => {
        await beforeGrant()
        // Somebody else may have been faster.
        const given = wanted.filter(({ callbackId }) => due.some(({ id }) => id === callbackId))
        due = due.filter(({ id }) => !given.some(({ callbackId }) => callbackId === id))
        granted.push(...given.map(({ callbackId }) => callbackId))
        return given.map(({ token, callbackId, agent }) => ({ token, callbackId, agentId: agent.id, workspace: 'plant' }) as Lease)
      },
      giveBack: async unused => {
        await beforeReturn()
        returned.push(...unused.map(({ callbackId }) => callbackId))
      },
      newToken: () => {
        tokens += 1
        return `token ${tokens}`
      },
      survey: async () => {
        surveys += 1
        return due.length > 0 ? ['plant', 'elsewhere'] : []
      },
      agentNow: id => agents.get(id),
      isHeldUp: () => isHeldUp,
      onGranted: lease => lease,
      pollMs,
      logger,
    })
    started.looking.start()
    return started
  }

  async function stop(): Promise<void> {
    desk.stop()
    await desk.looking.stop()
  }

  async function restart(options: Parameters<typeof start>[0]): Promise<void> {
    await stop()
    desk = start(options)
  }

  const agent = (id: string, changes: Partial<KnownAgent> = {}): KnownAgent => ({
    ...{ id, workspace: 'plant', name: id, labels: [] },
    ...{ maxLeases: 100, isArchived: false },
    ...changes,
  })

  function poll(id: string, options: { waitMs?: number; maxCallbacks?: number; agent?: KnownAgent; isAdmitted?: () => boolean } = {}) {
    const { waitMs = 60_000, maxCallbacks = 1, isAdmitted = () => true } = options
    const place = desk.take({ agent: options.agent ?? agent(id), waitMs, maxCallbacks, maxObjects: 1000, isAdmitted })
    assert.ok(typeof place !== 'string', `a place, not ${place}`)
    return { ids: place.leases.then(leases => leases.map(({ callbackId }) => callbackId)), leave: () => place.leave() }
  }

  function arrive(...ids: string[]): void {
    due.push(...ids.map(id => ({ id, objects: 1, labels: [], assignedTo: null })))
    desk.arrived('plant')
  }

  it('gives a callback to the agent that has waited longest, at once', async () => {
    await restart({ pollMs: RARELY_MS })
    const [first, second] = [poll('a'), poll('b')]
    await eventually('the first survey', () => surveys > 0)
    arrive('x')
    assert.deepEqual(await first.ids, ['x'])
    arrive('y')
    assert.deepEqual(await second.ids, ['y'])
    assert.equal(desk.waiting, 0)
  })

  it('gives nothing to a poll whose key was revoked while it waited', async () => {
    let isAdmitted = true
    const [revoked, other] = [poll('a', { isAdmitted: () => isAdmitted }), poll('b')]
    isAdmitted = false
    arrive('x')
    assert.deepEqual([await revoked.ids, await other.ids], [[], ['x']])
  })

  it('serves all that wait with one statement each for finding and leasing', async () => {
    const polls = Array.from({ length: 50 }, (_, i) => poll(`${i}`))
    await eventually('the first survey', () => surveys > 0)
    finds = 0
    arrive(...polls.map((_, i) => `c${i}`))
    const leased = await Promise.all(polls.map(({ ids }) => ids))
    assert.deepEqual(
      leased.flat(),
      polls.map((_, i) => `c${i}`),
    )
    assert.equal(finds, 1)
  })

  it('looks at nothing while agents wait and nothing arrives, and asks for all of them what is due', async () => {
    for (let i = 0; i < 50; i += 1) poll(`${i}`)
    await sleep(4 * POLL_MS)
    assert.equal(finds, 0)
    assert.ok(surveys >= 2 && surveys <= 5, `${surveys} surveys`)
  })

  it('asks for nothing while nobody waits', async () => {
    poll('a').leave()
    await sleep(POLL_MS)
    const before = surveys
    await sleep(4 * POLL_MS)
    assert.equal(surveys, before)
  })

  it('finds what another replica accepted', async () => {
    const { ids } = poll('a')
    due.push({ id: 'x', objects: 1, labels: [], assignedTo: null })
    assert.deepEqual(await ids, ['x'])
  })

  it('remembers what arrived while nobody waited', async () => {
    arrive('x', 'y')
    assert.deepEqual(await poll('a').ids, ['x'])
    assert.deepEqual(await poll('a').ids, ['y'])
  })

  it('answers without a lease when the time is over', async () => {
    const startedMs = performance.now()
    assert.deepEqual(await poll('a', { waitMs: 30 }).ids, [])
    assert.ok(performance.now() - startedMs >= 29)
  })

  it('looks once for a poll that does not wait', async () => {
    due.push({ id: 'x', objects: 1, labels: [], assignedTo: null })
    assert.deepEqual(await poll('a', { waitMs: 0 }).ids, ['x'])
    assert.deepEqual(await poll('a', { waitMs: 0 }).ids, [])
  })

  it('fails a poll that does not wait if nobody can look, and lets others wait', async () => {
    find = async () => {
      throw new StorageUnavailableError('away')
    }
    const patient = poll('b')
    await assert.rejects(poll('a', { waitMs: 0 }).ids, StorageUnavailableError)
    find = async ({ limit }) => ({ candidates: due.slice(0, limit), held, next: undefined })
    arrive('x')
    assert.deepEqual(await patient.ids, ['x'])
  })

  it('gives nothing to a poll that has left', async () => {
    const [gone, there] = [poll('a'), poll('b')]
    gone.leave()
    arrive('x')
    assert.deepEqual([await gone.ids, await there.ids], [[], ['x']])
    assert.deepEqual(returned, [])
  })

  it('puts a callback back at once if its poll leaves at the moment of the grant', async () => {
    await restart({ pollMs: RARELY_MS })
    const { ids, leave } = poll('a')
    beforeGrant = async () => leave()
    arrive('x')
    assert.deepEqual(await ids, [])
    await eventually('x is back', () => returned.length > 0)
    assert.deepEqual([granted, returned], [['x'], ['x']])
  })

  it('puts a callback back later if it cannot now, although nobody waits, and only once', async () => {
    const { ids, leave } = poll('a')
    beforeGrant = async () => leave()
    let isAway = true
    beforeReturn = async () => {
      if (!isAway) return
      isAway = false
      throw new StorageUnavailableError('away')
    }
    arrive('x')
    assert.deepEqual(await ids, [])
    await eventually('x is back', () => returned.length > 0)
    await poll('a', { waitMs: 0 }).ids
    assert.deepEqual(returned, ['x'])
  })

  it('puts callbacks back that it may have leased, although nobody can say', async () => {
    let isLost = true
    beforeGrant = async () => {
      if (isLost) {
        isLost = false
        throw new StorageUnavailableError('the answer was lost')
      }
    }
    const { ids } = poll('a')
    arrive('x')
    assert.deepEqual(await ids, ['x'])
    assert.deepEqual(returned, ['x'])
  })

  it('answers with leases if the time is over while they are given', async () => {
    const { ids } = poll('a', { waitMs: 20 })
    beforeGrant = () => sleep(60)
    arrive('x')
    assert.deepEqual(await ids, ['x'])
  })

  it('lets a poll wait on if another replica was faster', async () => {
    const { ids } = poll('a')
    beforeGrant = async () => {
      if (due[0]?.id === 'x') due = []
    }
    arrive('x')
    await eventually('a look', () => due.length === 0)
    assert.equal(desk.waiting, 1)
    arrive('y')
    assert.deepEqual(await ids, ['y'])
  })

  it('looks again at once when an agent that holds as many as it may has room', async () => {
    await restart({ pollMs: RARELY_MS })
    const { ids } = poll('a', { agent: agent('a', { maxLeases: 1 }) })
    held.set('a', 1)
    arrive('x')
    find = async () => ({ candidates: held.size > 0 ? [] : due.slice(0, 1), held, next: undefined })
    await eventually('a look', () => finds > 0)
    held.clear()
    desk.released('plant')
    assert.deepEqual(await ids, ['x'])
  })

  it('does not look again when a lease ends although no agent that waits holds as many as it may', async () => {
    await restart({ pollMs: RARELY_MS })
    held.set('a', 1)
    poll('a', { agent: agent('a', { maxLeases: 2 }) })
    desk.arrived('plant')
    await eventually('a look', () => finds > 0)
    desk.released('plant')
    assert.deepEqual(await poll('b', { waitMs: 0, agent: agent('b', { workspace: 'elsewhere' }) }).ids, [])
    // The second look was that of the other workspace.
    assert.equal(finds, 2)
  })

  it('gives an agent that was archived meanwhile nothing', async () => {
    const { ids } = poll('a', { waitMs: 200 })
    agents.set('a', agent('a', { isArchived: true }))
    arrive('x')
    assert.deepEqual(await ids, [])
    assert.deepEqual(granted, [])
  })

  it('walks on for polls for which the most urgent callbacks have nothing', async () => {
    const places: unknown[] = []
    const place = { priority: 0, dueAt: 'then', id: 'p' }
    find = async ({ from, limit }) => {
      places.push(from?.id)
      return from ? { candidates: due.slice(0, limit), held, next: undefined } : { candidates: [], held, next: place }
    }
    const { ids } = poll('a')
    arrive('x')
    assert.deepEqual(await ids, ['x'])
    assert.deepEqual(places, [undefined, 'p'])
  })

  it('leases nothing while the spool is drained', async () => {
    isHeldUp = true
    arrive('x')
    const [impatient, patient] = [poll('a', { waitMs: 0 }), poll('b')]
    assert.deepEqual(await impatient.ids, [])
    assert.equal(finds, 0)
    isHeldUp = false
    assert.deepEqual(await patient.ids, ['x'])
  })

  it('refuses an archived agent, a ninth poll of an agent, and more polls than it may keep', async () => {
    const wanted = { waitMs: 60_000, maxCallbacks: 1, maxObjects: 1, isAdmitted: () => true }
    assert.equal(desk.take({ agent: agent('a', { isArchived: true }), ...wanted }), 'agent_archived')
    for (let i = 0; i < 8; i += 1) poll('a')
    assert.equal(desk.take({ agent: agent('a'), ...wanted }), 'too_many_polls')
    await restart({ maxPolls: 1 })
    poll('a')
    assert.equal(desk.take({ agent: agent('b'), ...wanted }), 'overloaded')
  })

  it('answers all polls at once when it stops, and those that come later', async () => {
    const polls = [poll('a'), poll('b')]
    desk.stop()
    assert.deepEqual(await Promise.all(polls.map(({ ids }) => ids)), [[], []])
    assert.deepEqual(await poll('c').ids, [])
  })

  it('gives the leases of a look that is under way when it stops', async () => {
    const { ids } = poll('a')
    beforeGrant = async () => desk.stop()
    arrive('x')
    assert.deepEqual(await ids, ['x'])
  })

  it('keeps ten thousand polls, and serves them in turn', async () => {
    await restart({ maxPolls: 10_000 })
    const polls = Array.from({ length: 10_000 }, (_, i) => poll(`${i}`))
    await eventually('the first survey', () => surveys > 0)
    const startedMs = performance.now()
    arrive(...Array.from({ length: 1000 }, (_, i) => `c${i}`))
    const first = await Promise.all(polls.slice(0, 1000).map(({ ids }) => ids))
    assert.deepEqual(
      first.flat(),
      first.map((_, i) => `c${i}`),
    )
    assert.ok(performance.now() - startedMs < 5000)
    assert.equal(desk.waiting, 9000)
  })
})
