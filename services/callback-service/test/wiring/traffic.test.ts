import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Settings } from '#foundation/config/settings.ts'
import { until } from '../../../../test/support/eventually.ts'
import { DatabaseClock } from '../../adapters/postgres/database-clock.ts'
import { LimitUsages } from '../../api/gates/limit-usages.ts'
import { turnLimit } from '../../api/gates/read-limit.ts'
import { schema } from '../../config.ts'
import { BUILT_IN_DEFAULT } from '../../domain/workspaces/default-workspace.ts'
import type { Workspace } from '../../domain/workspaces/workspace.ts'
import { traffic } from '../../wiring/traffic.ts'
import { logger, openTestStorage, type TestStorage } from '../adapters/postgres/test-storage.ts'

describe('the traffic, joined', () => {
  let storage: TestStorage
  let all: Workspace[]
  let joined: ReturnType<typeof traffic>

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    await storage.query('TRUNCATE callbacks, ledger_hours')
    all = ['default', 'shop', 'depot'].map(name => ({ ...BUILT_IN_DEFAULT, name }))
  })

  afterEach(() => joined.poller.stop?.())
  after(() => storage.close())

  function join(env: Record<string, string> = {}): void {
    const settings = new Settings(schema, { argv: [], env: { DATABASE_URL: storage.url, ...env } })
    joined = traffic({
      config: settings.current,
      read: storage.open(),
      clock: new DatabaseClock(),
      listed: turnLimit(1),
      directory: { all, find: name => all.find(workspace => workspace.name === name) },
      usages: new LimitUsages(),
      replicas: () => 1,
      logger,
    })
    joined.poller.start?.()
  }

  /** Inserts a callback a second over some minutes, the last one so long ago. */
  async function sent(workspace: string, { minutes = 15, agoSeconds = 0 } = {}): Promise<void> {
    await storage.query(
      `INSERT INTO callbacks (id, workspace, received_at) SELECT gen_random_uuid(), $1, now() - make_interval(secs => $3 + n)
       FROM generate_series(0, $2 * 60 - 1) AS n`,
      [workspace, minutes, agoSeconds],
    )
  }

  const of = async (name: string) => {
    const [found] = (await joined.readTraffic(name)).workspaces
    return found
  }

  it('is that of the whole database, of every workspace or of one', async () => {
    await sent('shop', { minutes: 3 })
    join()
    const { workspaces, toMs, completeFromMs, fromMs } = await joined.readTraffic(undefined)
    const received = workspaces.map(({ workspace, received }) => [workspace.name, received.reduce<number>((sum, n) => sum + (n ?? 0), 0)])
    assert.deepEqual(received, [
      ['default', 0],
      ['shop', 180],
      ['depot', 0],
    ])
    assert.ok(Math.abs(toMs - Date.now()) < 60_000)
    assert.equal(completeFromMs, fromMs)
    assert.equal((await joined.readTraffic('shop')).workspaces.length, 1)
    assert.deepEqual((await joined.readTraffic('nobody')).workspaces, [])
  })

  it('shows a workspace as silent that has stopped, also if that was before anybody looked', async () => {
    await sent('shop', { agoSeconds: 600 })
    await sent('depot', { agoSeconds: 30 })
    join()
    assert.equal((await of('depot'))?.isSilent, false)
    const silent = await eventuallyExact('shop')
    const usualGapMs = silent?.lastReceipt.usualGapMs ?? 0
    assert.ok(silent?.isSilent && usualGapMs >= 1000 && usualGapMs < 1100, String(usualGapMs))
  })

  it('shows no archived workspace as silent', async () => {
    all[1] = { ...BUILT_IN_DEFAULT, name: 'shop', archivedAt: new Date() }
    await sent('shop', { agoSeconds: 600 })
    join()
    assert.equal((await eventuallyExact('shop'))?.isSilent, false)
  })

  it('shows what is unfinished and paused as it was counted last, and null before', async () => {
    join()
    const unknown = await of('shop')
    joined.counted(new Map([['shop', { unfinished: 5, due: 0, running: 0, paused: 2, finished: 0 }]]))
    const [shop, depot] = [await of('shop'), await of('depot')]
    assert.deepEqual(
      [unknown, shop, depot].map(each => [each?.unfinished, each?.paused]),
      [
        [null, null],
        [7, 2],
        [0, 0],
      ],
    )
  })

  it('is complete only for the time for which finished callbacks are kept', async () => {
    await storage.query(`INSERT INTO callbacks (id, workspace) VALUES ($1, 'shop')`, [randomUUID()])
    join({ CALLBACKS_RETENTION_SECONDS: '300' })
    const { completeFromMs, toMs } = await joined.readTraffic(undefined)
    assert.ok(completeFromMs >= toMs - 300_000 && completeFromMs < toMs - 200_000)
  })

  /** The search comes after the minutes. */
  async function eventuallyExact(name: string) {
    return until(async () => {
      const found = await of(name)
      return found?.lastReceipt.usualGapMs != null ? found : undefined
    })
  }
})
