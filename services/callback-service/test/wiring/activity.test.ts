import assert from 'node:assert/strict'
import { Settings } from '#foundation/config/settings.ts'
import { Signal } from '#foundation/lifecycle/signal.ts'
import { onlyDefault } from '../../../../test/support/only-default.ts'
import { schema } from '../../config.ts'
import { type CallbackCounts, NO_CALLBACKS } from '../../domain/accepting/workspace-forecast.ts'
import type { CallbackEvent } from '../../domain/callback-event.ts'
import type { Fetcher, Workspace } from '../../domain/workspaces/workspace.ts'
import type { Activity } from '../../web/activity-types.ts'
import { activity } from '../../wiring/activity.ts'
import { recording } from '../../wiring/recording.ts'
import { logger } from '../workers/silent-logger.ts'

const CONFIG = new Settings(schema, { argv: [], env: { DATABASE_URL: 'postgresql://a' } }).current

function setup() {
  const events = new Signal<CallbackEvent>()
  const state = {
    nowMs: 5000,
    isPaused: false,
    fetcher: 'service' as Fetcher,
    isAnyAlive: false,
    isSpoolDraining: false,
    isSpoolFull: false,
    storageProblem: undefined as string | undefined,
    breaker: undefined as { state: 'closed' | 'open' | 'half-open'; waitMs: number } | undefined,
  }
  const workspace = (): Workspace => ({ ...(onlyDefault.all[0] as Workspace), isPaused: state.isPaused, fetcher: state.fetcher })
  const joined = activity({
    config: () => CONFIG,
    recording: recording(events),
    events,
    storage: {
      get problem() {
        return state.storageProblem
      },
      weakness: undefined,
    },
    session: { workerNumber: 3, problem: undefined },
    worker: { running: 2 },
    replicas: () => 1,
    inbox: {
      spool: { callbacks: 4, setAsideCount: 0, bytes: 100, problem: undefined },
      longestEtaMs: 700,
      waiting: 0,
      get hasSpool() {
        return !state.isSpoolFull
      },
      get isSpoolDraining() {
        return state.isSpoolDraining
      },
    },
    fetching: { slots: { inFlight: 5, waiting: 6, concurrency: 7 }, breakerOf: () => state.breaker },
    workspaces: {
      find: name => (name === 'default' ? workspace() : undefined),
      get all() {
        return [workspace()]
      },
    },
    isAnyAlive: () => state.isAnyAlive,
    telemetry: { collector: undefined },
    shutdown: { isDraining: false },
    clock: { at: ms => ms, nowMs: () => 3_600_000 },
    find: async () => undefined,
    nowMs: () => state.nowMs,
    counts: () => ({ streamsOpen: 0, httpConnections: 0, requestsWaiting: 0 }),
    logger,
  })
  const read = async (after?: string): Promise<Activity> => {
    const route = joined.routes.find(({ path }) => path === '/activity') ?? assert.fail('no route')
    const answer = await route.answer({ query: after === undefined ? {} : { after } } as never, {} as never)
    return JSON.parse(String(answer?.body)) as Activity
  }
  return {
    state,
    events,
    read,
    counted: (counts: Partial<CallbackCounts>, name = 'default') =>
      joined.countedCallbacks(new Map([[name, { ...NO_CALLBACKS, ...counts }]])),
    countedObjects: joined.countedObjects,
    foundUnsuited: joined.foundUnsuited,
    /** Lets the sampler look once a second. */
    async pass(seconds: number): Promise<void> {
      joined.sampler.start()
      for (let i = 0; i < seconds; i += 1) {
        state.nowMs += 1000
        joined.sampler.wake()
        await new Promise(setImmediate)
      }
    },
    stop: () => joined.sampler.stop(),
    lightOf: async (wanted: string) => (await read()).lights.find(({ name }) => name === wanted)?.state,
  }
}

describe('activity', () => {
  let all: ReturnType<typeof setup>

  beforeEach(() => {
    all = setup()
  })

  afterEach(() => all.stop())

  it('samples what the parts say, and what the database counted', async () => {
    all.counted({ unfinished: 8, paused: 2 })
    all.countedObjects(9)
    await all.pass(1)
    all.events.emit({ event: 'answered', outcome: 'accepted', workspace: 'default', tookMs: 3 })
    all.events.emit({ event: 'spooled', count: 2 })
    await all.pass(1)
    const { columns } = await all.read()
    const last = Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values.at(-1)]))
    assert.deepEqual(
      [last['accepted'], last['spooled'], last['backlog'], last['live_objects'], last['spool_callbacks'], last['eta_ms']],
      [1, 2, 10, 9, 4, 700],
    )
    assert.deepEqual([last['fetches_in_flight'], last['fetches_waiting']], [5, 6])
  })

  it('knows no backlog when nobody could count for a while', async () => {
    all.counted({ unfinished: 8 })
    await all.pass(12)
    assert.deepEqual((await all.read()).columns.backlog.slice(-3), [8, null, null])
  })

  it('gives later rows to its own reader, and all to that of another process', async () => {
    await all.pass(3)
    const { cursor, columns } = await all.read()
    await all.pass(1)
    const [own, other] = [await all.read(cursor), await all.read(cursor.replace(/^./, digit => (digit === '0' ? '1' : '0')))]
    assert.deepEqual([own.columns.at_ms.length, own.from_start], [1, false])
    assert.deepEqual([other.columns.at_ms.length, other.from_start], [columns.at_ms.length + 1, true])
  })

  it('shows a standstill', async () => {
    all.counted({ due: 3 })
    all.state.nowMs += 30_000
    assert.equal(await all.lightOf('processing'), 'bad')
    all.events.emit({ event: 'claimed', id: 'a', workspace: 'default', attempt: 1, waitedMs: 1 })
    assert.equal(await all.lightOf('processing'), 'ok')
  })

  for (const [what, change] of [
    ['its workspace is paused', { isPaused: true }],
    ['its client service is down', { breaker: { state: 'open', waitMs: 500 } }],
    ['its client service asked for a pause', { breaker: { state: 'closed', waitMs: 500 } }],
    ['the spool is drained first', { isSpoolDraining: true }],
  ] as const) {
    it(`shows no standstill when a callback waits because ${what}`, async () => {
      Object.assign(all.state, change)
      all.counted({ due: 3 })
      all.state.nowMs += 30_000
      assert.equal(await all.lightOf('processing'), 'ok')
    })
  }

  it('shows that callbacks wait for agents, and no standstill', async () => {
    all.state.fetcher = 'agents'
    all.counted({ due: 3 })
    all.state.nowMs += 30_000
    assert.equal(await all.lightOf('processing'), 'ok')
    assert.equal(await all.lightOf('agents'), 'bad')
    all.state.isAnyAlive = true
    all.counted({ due: 3, running: 1 })
    assert.equal(await all.lightOf('agents'), 'ok')
  })

  it('shows which callback no agent suits while they are busy with others', async () => {
    Object.assign(all.state, { fetcher: 'agents', isAnyAlive: true })
    all.counted({ due: 3, running: 1 })
    all.foundUnsuited([{ workspace: 'default', waiting: 2, callback: 'a', ms: 70_000 }])
    const { lights, now } = await all.read()
    assert.match(lights.find(({ name }) => name === 'agents')?.text ?? '', /no living agent suits them\. Callback a /)
    assert.deepEqual(now.unsuited, [{ workspace: 'default', callbacks: 2, oldest: 'a' }])
  })

  it('shows no shortage of agents while their workspace is paused', async () => {
    Object.assign(all.state, { fetcher: 'agents', isPaused: true })
    all.counted({ due: 3 })
    assert.equal(await all.lightOf('agents'), 'ok')
  })

  it('shows that many leases lapse, for a minute', async () => {
    all.state.fetcher = 'agents'
    for (let i = 0; i < 5; i += 1) all.events.emit({ event: 'lapsed', workspace: 'default' })
    await all.pass(1)
    assert.equal(await all.lightOf('agents'), 'warn')
    await all.pass(60)
    assert.equal(await all.lightOf('agents'), 'ok')
  })

  it('has no light for agents where no workspace needs any', async () => {
    assert.equal(await all.lightOf('agents'), undefined)
  })

  it('says that a full spool takes no callbacks, and that senders get 503', async () => {
    Object.assign(all.state, { isSpoolFull: true, storageProblem: 'connection refused' })
    const { lights } = await all.read()
    const textOf = (wanted: string): string => lights.find(({ name }) => name === wanted)?.text ?? ''
    assert.equal(textOf('spool'), 'The spool takes no callbacks: it is full.')
    assert.match(textOf('postgres'), /Senders get 503 until it is back\.$/)
  })

  it('tells the time of the database, which wrote the times of callbacks', async () => {
    assert.equal((await all.read()).now.database_at, '1970-01-01T01:00:00.000Z')
  })

  it('shows the breaker of a client service', async () => {
    all.state.breaker = { state: 'half-open', waitMs: -3 }
    const { now, lights } = await all.read()
    assert.deepEqual(now.client_services, [{ workspace: 'default', state: 'half_open', until: null }])
    assert.equal(lights.find(({ name }) => name === 'client_service')?.state, 'bad')
  })
})
