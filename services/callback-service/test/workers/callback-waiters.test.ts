import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../../../../test/support/eventually.ts'
import type { CallbackState, CallbackView } from '../../domain/callback.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { CallbackWaiters } from '../../workers/callback-waiters.ts'
import { logger } from './silent-logger.ts'

const LONG = { waitMs: 60_000, mayBeFinished: false }

describe('CallbackWaiters', () => {
  let waiters: CallbackWaiters
  let finished: Set<string>
  let looks: (readonly string[])[]
  let look: (ids: readonly string[]) => Promise<readonly CallbackView[]>

  beforeEach(() => {
    finished = new Set()
    looks = []
    look = async ids => ids.filter(id => finished.has(id)).map(id => ({ id, state: 'completed' }) as CallbackView)
    waiters = start(3)
  })

  afterEach(stop)

  function start(max: number): CallbackWaiters {
    const started = new CallbackWaiters({
      max,
      findFinished: ids => {
        looks.push(ids)
        return look(ids)
      },
      logger,
    })
    started.looking.start()
    return started
  }

  async function stop(): Promise<void> {
    waiters.stop()
    await waiters.looking.stop()
  }

  const take = (id: string, options = LONG) => waiters.take(id, options) ?? assert.fail('no place')

  function settle(id: string, state: CallbackState = 'completed'): void {
    waiters.onEvent({ event: 'settled', id, workspace: 'shop', attempt: 1, state, objects: 1, waitedMs: 0, workedMs: 0 })
  }

  it('answers at once when this process has finished the callback', async () => {
    const { finished: outcome } = take('a')
    finished.add('a')
    const started = performance.now()
    settle('a')
    assert.equal((await outcome)?.id, 'a')
    assert.ok(performance.now() - started < 100)
    assert.equal(waiters.count, 0)
  })

  it('finds what another replica finished, with one look for all', async () => {
    const places = [take('a'), take('b'), take('b')]
    finished.add('a').add('b')
    const outcomes = await Promise.all(places.map(place => place.finished))
    assert.deepEqual(
      outcomes.map(one => one?.id),
      ['a', 'b', 'b'],
    )
    assert.deepEqual(looks, [['a', 'b']])
  })

  it('looks four times a second at most, and not at all if nobody waits', async () => {
    const place = take('a')
    await eventually('three looks', () => looks.length === 3)
    const started = performance.now()
    await eventually('two more', () => looks.length === 5)
    assert.ok(performance.now() - started > 400)
    place.leave()
    const before = looks.length
    await sleep(600)
    assert.equal(looks.length, before)
  })

  it('serves callbacks that finish one after the other with few looks', async () => {
    await stop()
    waiters = start(1000)
    const ids = Array.from({ length: 500 }, (_, i) => `${i}`)
    const outcomes = ids.map(id => take(id).finished)
    const started = performance.now()
    for (const id of ids) {
      finished.add(id)
      settle(id)
      if (Number(id) % 10 === 0) await sleep(1)
    }
    await Promise.all(outcomes)
    assert.ok(looks.length <= 3 + (performance.now() - started) / 20, `${looks.length} looks`)
  })

  it('looks again at once if a callback is finished while a look is under way', async () => {
    const first = Promise.withResolvers<CallbackView[]>()
    const works = look
    look = ids => (looks.length === 1 ? first.promise : works(ids))
    const { finished: outcome } = take('a', { ...LONG, mayBeFinished: true })
    await eventually('a look', () => looks.length === 1)
    finished.add('a')
    settle('a')
    const started = performance.now()
    first.resolve([])
    assert.equal((await outcome)?.id, 'a')
    assert.ok(performance.now() - started < 100)
  })

  it('looks at once for a callback that may be finished', async () => {
    finished.add('a')
    const started = performance.now()
    assert.equal((await take('a', { ...LONG, mayBeFinished: true }).finished)?.id, 'a')
    assert.ok(performance.now() - started < 200)
  })

  it('goes on waiting when a callback leaves its worker unfinished, or was sent round again', async () => {
    const place = take('a', { waitMs: 300, mayBeFinished: false })
    settle('a', 'pending')
    settle('a', 'completed')
    assert.equal(await place.finished, undefined)
  })

  it('ends a wait without a result when its time is over, also while the database hangs', async () => {
    const { promise, resolve } = Promise.withResolvers<CallbackView[]>()
    look = () => promise
    const started = performance.now()
    assert.equal(await take('a', { waitMs: 400, mayBeFinished: true }).finished, undefined)
    assert.ok(performance.now() - started < 700)
    resolve([])
  })

  it('goes on after a look that failed', async () => {
    let failures = 0
    const works = look
    look = ids => (failures++ < 2 ? Promise.reject(new StorageUnavailableError('away')) : works(ids))
    finished.add('a')
    assert.equal((await take('a', { ...LONG, mayBeFinished: true }).finished)?.id, 'a')
  })

  it('has no place for more than the maximum, and one again when somebody leaves', () => {
    const places = ['a', 'b', 'c'].map(id => take(id))
    assert.equal(waiters.take('d', LONG), undefined)
    places[0]?.leave()
    places[0]?.leave()
    assert.equal(waiters.count, 2)
    take('d')
    assert.equal(waiters.take('e', LONG), undefined)
  })

  it('ends all waits at the stop, and lets nobody wait afterwards', async () => {
    const { finished: outcome } = take('a')
    waiters.stop()
    assert.equal(await outcome, undefined)
    assert.equal(waiters.take('b', LONG), undefined)
  })

  it('lets others have their turn while many requests get their answer', async () => {
    await stop()
    waiters = start(200)
    let turns = 0
    const others = setInterval(() => {
      turns += 1
    }, 1)
    const answers = Array.from({ length: 200 }, async () => {
      await take('a').finished
      for (const until = performance.now() + 1; performance.now() < until; );
    })
    finished.add('a')
    turns = 0
    settle('a')
    await Promise.all(answers)
    clearInterval(others)
    assert.ok(turns >= 8, `${turns} turns`)
  })
})
