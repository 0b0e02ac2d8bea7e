import assert from 'node:assert/strict'
import pg from 'pg'
import { eventually, until } from '../../../../../test/support/eventually.ts'
import { giveSteppingClock } from '../../../../../test/support/stepping-clock.ts'
import { operationRunner } from '../../../workers/operation-runner.ts'
import { asked, newReplica, putCallbacks, RETRY, runSteps, statesOf, stepsUntil } from './operation-fixture.ts'
import { logger, openTestStorage, type TestStorage } from './test-storage.ts'

describe('operations, interrupted and in a crowd', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(() => storage.query('TRUNCATE callbacks, operations'))
  after(() => storage.close())

  const entriesOf = () =>
    storage.query<{ entries: number | null; count: number }>(
      'SELECT jsonb_array_length(timeline) AS entries, count(*)::int FROM callbacks GROUP BY 1 ORDER BY 1',
    )

  function startRunner(replica = newReplica(storage)) {
    const changes: number[] = []
    const runner = operationRunner({
      steps: replica.steps,
      prune: async () => undefined,
      onChanged: (_operation, changed) => changes.push(changed),
      hasRoom: () => true,
      logger,
    })
    runner.start()
    return { changes, stop: () => runner.stop() }
  }

  /** Holds locks on callbacks in a transaction. @returns what ends it */
  async function lock(ids: readonly string[], sql = 'SELECT FROM callbacks WHERE id = ANY ($1) FOR UPDATE') {
    const client = new pg.Client({ connectionString: storage.url })
    await client.connect()
    await client.query('BEGIN')
    await client.query(sql, [ids])
    return async (): Promise<void> => {
      await client.query('COMMIT')
      await client.end()
    }
  }

  it('goes on where it was, in each phase, when its process died', async () => {
    await putCallbacks(storage, 30)
    const { operation } = await newReplica(storage).store.create('default', asked(RETRY, { state: 'failed' }))
    const seen: string[] = []
    for (let i = 0; i < 100; i += 1) {
      const replica = newReplica(storage)
      seen.push(String((await replica.store.find('default', operation.id))?.state))
      if (seen.at(-1) === 'completed') break
      await runSteps(replica.steps, 7, 1)
    }
    assert.deepEqual([...new Set(seen)], ['counting', 'running', 'completed'])
    assert.deepEqual([await statesOf(storage), await entriesOf()], [{ pending: 30 }, [{ entries: 1, count: 30 }]])
  })

  it('leaves nothing half-done if the connection is lost within a step', async () => {
    const ids = await putCallbacks(storage, 5)
    const { store, steps } = newReplica(storage)
    const { operation } = await store.create('default', asked(RETRY, { state: 'failed' }))
    await runSteps(steps, 7, 1)
    // The trigger holds the step up when it has changed the callbacks, but not yet the operation.
    await storage.query(`CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(20); RETURN NEW; END $$`)
    await storage.query('CREATE TRIGGER hold BEFORE UPDATE ON operations FOR EACH ROW EXECUTE FUNCTION wait_here()')
    try {
      const step = runSteps(steps, 7, 1).catch(() => undefined)
      await until(async () => (await storage.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)).length > 0)
      await storage.terminateOthers()
      await step
    } finally {
      await storage.query('DROP TRIGGER hold ON operations')
      await storage.query('DROP FUNCTION wait_here')
    }
    assert.deepEqual([await statesOf(storage), (await store.find('default', operation.id))?.done], [{ failed: 5 }, 0])
    const ended = await runSteps(newReplica(storage).steps)
    assert.deepEqual([ended?.done, await entriesOf(), ids.length], [5, [{ entries: 1, count: 5 }], 5])
  })

  it('waits for a callback that somebody has locked, without a deadlock and without touching one twice', async () => {
    const ids = await putCallbacks(storage, 30)
    const { store } = newReplica(storage)
    const { operation } = await store.create('default', asked(RETRY, { state: 'failed' }))
    const unlock = await lock([ids[10], ids[20]] as string[])
    const runner = startRunner()
    await eventually('it stands before the locked one', async () => (await store.find('default', operation.id))?.done === 10)
    await unlock()
    await eventually('it goes on', async () => (await store.find('default', operation.id))?.state === 'completed')
    await runner.stop()
    assert.deepEqual(await entriesOf(), [{ entries: 1, count: 30 }])
  })

  it('skips a locked callback that no longer matches when the lock is gone', async () => {
    const ids = await putCallbacks(storage, 10, { state: 'pending' })
    const { store } = newReplica(storage)
    const { operation } = await store.create('default', asked({ kind: 'cancel' }))
    const unlock = await lock([ids[4]] as string[], `UPDATE callbacks SET state = 'running', claimed_by = 1 WHERE id = ANY ($1)`)
    const runner = startRunner()
    await eventually('it stands before the locked one', async () => (await store.find('default', operation.id))?.done === 4)
    await unlock()
    const ended = await until(async () => {
      const found = await store.find('default', operation.id)
      return found?.state === 'completed' ? found : undefined
    })
    await runner.stop()
    assert.deepEqual([ended.done, ended.skipped, await statesOf(storage)], [9, 1, { cancelled: 9, running: 1 }])
  })

  it('touches each callback once, at its rate, with two replicas that share the steps', async function () {
    this.timeout(20_000)
    await putCallbacks(storage, 400)
    const { store } = newReplica(storage)
    await store.create('default', asked(RETRY, { state: 'failed' }, { ratePerSecond: 100 }))
    const runners = [startRunner(), startRunner()]
    await until(async () => (await statesOf(storage))['failed'] === undefined, 15_000)
    for (const runner of runners) await runner.stop()
    const [{ rate } = { rate: 0 }] = await storage.query<{ rate: number }>(
      `SELECT (count(*) FILTER (WHERE steered_at > first + interval '0.1 s') / extract(epoch FROM max(steered_at) - min(steered_at)))::float8 AS rate
       FROM callbacks, (SELECT min(steered_at) AS first FROM callbacks) AS f`,
    )
    assert.ok(Math.abs(rate - 100) <= 10, `${rate} callbacks a second`)
    assert.deepEqual(await entriesOf(), [{ entries: 1, count: 400 }])
    assert.ok(runners.every(({ changes }) => changes.every(changed => changed <= 10)))
  })

  it('changes nothing more after an abort in the middle, and ends at once', async () => {
    await putCallbacks(storage, 30)
    const { store, steps } = newReplica(storage)
    const { operation } = await store.create('default', asked(RETRY, { state: 'failed' }))
    await stepsUntil({ store, steps }, operation.id, ({ done }) => done > 0)
    const held = (await steps.due()).operation
    assert.equal(await store.abort('default', operation.id), true)
    const before = await statesOf(storage)
    assert.equal(held && (await steps.step(held, 7)), undefined)
    assert.equal(await runSteps(steps), undefined)
    assert.deepEqual([await statesOf(storage), before], [{ failed: 23, pending: 7 }, before])
    assert.equal((await store.find('default', operation.id))?.state, 'aborted')
  })

  it('goes on at once if the clock went back by an hour', async () => {
    await putCallbacks(storage, 5)
    const { store, steps } = newReplica(storage)
    const { operation } = await store.create('default', asked(RETRY, { state: 'failed' }, { ratePerSecond: 0.5 }))
    await storage.query(`UPDATE operations SET next_at = now() + interval '1 hour'`)
    await runSteps(steps, 7, 2)
    assert.equal((await store.find('default', operation.id))?.done, 1)
    assert.equal((await steps.due()).operation, undefined)
  })

  it('leaves callbacks alone that came after it, even if the clock went back to before it', async () => {
    const other = await openTestStorage()
    try {
      const clock = await giveSteppingClock(other.url)
      const replica = newReplica(other)
      const before = await putCallbacks(other, 20, { state: 'pending' })
      await other.query(`UPDATE callbacks SET received_at = received_at - interval '1 hour'`)
      const { operation } = await replica.store.create('default', asked({ kind: 'cancel' }))
      await stepsUntil(replica, operation.id, ({ done }) => done > 0)
      await clock.step(-3_600_000)
      await runSteps(replica.steps, 2, 1)
      await putCallbacks(other, 20, { state: 'pending' })
      await other.query(`UPDATE callbacks SET received_at = clock_timestamp() WHERE id <> ALL ($1)`, [before])
      const ended = await runSteps(replica.steps)
      assert.deepEqual([ended?.done, await statesOf(other)], [20, { pending: 20, cancelled: 20 }])
    } finally {
      await other.close()
    }
  })

  it('does the steps of one operation while somebody has locked another', async () => {
    await putCallbacks(storage, 10)
    const { store } = newReplica(storage)
    const first = await store.create('default', asked(RETRY, { state: 'failed' }))
    const second = await store.create('shop', asked(RETRY, { state: 'failed' }))
    const unlock = await lock([first.operation.id], 'SELECT FROM operations WHERE id = ANY ($1) FOR UPDATE')
    const runner = startRunner()
    await eventually('the other has ended', async () => (await store.find('shop', second.operation.id))?.state === 'completed')
    assert.equal((await store.find('default', first.operation.id))?.state, 'counting')
    await unlock()
    await eventually('it goes on', async () => (await store.find('default', first.operation.id))?.state === 'completed')
    await runner.stop()
  })

  for (const [name, change, filter, ratePerSecond] of [
    ['has no rate', { kind: 'cancel' }, {}, null],
    ['finds nothing where it looks', { kind: 'pause' }, { objectId: 300n }, 50],
  ] as const) {
    it(`takes turns with the operations of other workspaces if one ${name}`, async () => {
      await putCallbacks(storage, 300, { state: 'pending' })
      const { store, steps } = newReplica(storage)
      const first = await store.create('default', asked(change, filter, { ratePerSecond }))
      await stepsUntil({ store, steps }, first.operation.id, ({ state }) => state === 'running')
      await runSteps(steps, 7, 1)
      const second = await store.create('shop', asked({ kind: 'cancel' }, {}, { isDryRun: true }))
      const turns: string[] = []
      for (let i = 0; i < 10; i += 1) {
        const { operation } = await steps.due()
        if (operation && (await steps.step(operation, 7))) turns.push(operation.id)
      }
      const share = turns.filter(id => id === second.operation.id).length
      assert.ok(share >= 4 && share <= 6, `${share} of ${turns.length} steps`)
    })
  }

  it('lets two operations change the same callbacks at the same time', async () => {
    await putCallbacks(storage, 40, { state: 'pending' })
    const { store } = newReplica(storage)
    const changes = [{ kind: 'pause' }, { kind: 'cancel' }, { kind: 'prioritise', priority: 5 }] as const
    for (const change of changes) await store.create('default', asked(change))
    const runners = [startRunner(), startRunner()]
    await until(async () => (await storage.query('SELECT FROM operations WHERE finished_at IS NULL')).length === 0)
    for (const runner of runners) await runner.stop()
    assert.deepEqual(await statesOf(storage), { cancelled: 40 })
  })
})
