import assert from 'node:assert/strict'
import { RecentFetches, type RecentFetchesOptions } from '../../../domain/activity/recent-fetches.ts'

const OWN = { leftMs: undefined, isShared: false }

function setup(options: Omit<RecentFetchesOptions, 'nowMs'> = {}) {
  const state = { nowMs: 0 }
  const recent = new RecentFetches({ nowMs: () => state.nowMs, ...options })
  return {
    state,
    recent,
    begin: (callback: string, id: number, attempt = 1) => recent.begin(BigInt(id), { id: callback, attempt }),
    ids: (callback: string) => recent.of(callback)?.fetches.map(({ id }) => Number(id)),
  }
}

describe('recent fetches', () => {
  it('say when a fetch began, left and ended, and how', () => {
    const { state, recent } = setup()
    state.nowMs = 100
    const ticket = recent.begin(9_223_372_036_854_775_807n, { id: 'a', attempt: 2 })
    state.nowMs = 350
    recent.end(ticket, 'http_503', { leftMs: 120, isShared: true })
    assert.deepEqual(recent.of('a')?.fetches, [
      {
        id: 9_223_372_036_854_775_807n,
        attempt: 2,
        startedMs: 100,
        leftMs: 120,
        endedMs: 350,
        result: 'http_503',
        isShared: true,
      },
    ])
  })

  it('show a fetch that is under way', () => {
    const { recent, begin } = setup()
    begin('a', -7)
    const [fetch] = recent.of('a')?.fetches ?? []
    assert.deepEqual([fetch?.id, fetch?.endedMs, fetch?.leftMs, fetch?.result], [-7n, undefined, undefined, undefined])
  })

  it('show nothing of the fetch whose place they take', () => {
    const { recent, begin } = setup({ maxFetches: 1 })
    recent.end(begin('a', 1), 'stored', { leftMs: 1, isShared: true })
    begin('b', 2)
    const [fetch] = recent.of('b')?.fetches ?? []
    assert.deepEqual([fetch?.result, fetch?.endedMs, fetch?.leftMs, fetch?.isShared], [undefined, undefined, undefined, false])
  })

  it('know nothing of a callback without fetches', () => {
    assert.equal(setup().recent.of('a'), undefined)
  })

  it('keep the fetches of callbacks apart, each in order', () => {
    const { begin, ids } = setup()
    for (const id of [1, 2, 3]) for (const callback of ['a', 'b']) begin(callback, id)
    assert.deepEqual(
      [ids('a'), ids('b')],
      [
        [1, 2, 3],
        [1, 2, 3],
      ],
    )
  })

  it('forget the oldest fetches beyond the bound, and say that something is missing', () => {
    const { recent, begin, ids } = setup({ maxFetches: 4 })
    for (const id of [1, 2]) begin('a', id)
    for (const id of [3, 4, 5]) begin('b', id)
    assert.deepEqual([ids('a'), ids('b')], [[2], [3, 4, 5]])
    assert.deepEqual([recent.of('a')?.completeTo, recent.of('b')?.completeTo], [0, 1])
    begin('b', 6)
    assert.equal(ids('a'), undefined)
  })

  it('forget the oldest callbacks beyond the bound', () => {
    const { begin, ids } = setup({ maxCallbacks: 2 })
    for (const callback of ['a', 'b', 'c']) begin(callback, 1)
    assert.deepEqual([ids('a'), ids('b'), ids('c')], [undefined, [1], [1]])
  })

  it('take a callback with a new attempt for a new one', () => {
    const { begin, ids } = setup({ maxCallbacks: 2 })
    begin('a', 1)
    begin('b', 1)
    begin('a', 1, 2)
    begin('c', 1)
    assert.deepEqual([ids('a'), ids('b'), ids('c')], [[1, 1], undefined, [1]])
  })

  it('forget the oldest fetches of a callback that has too many', () => {
    const { recent, begin, ids } = setup({ maxPerCallback: 3 })
    for (const id of [1, 2, 3, 4, 5]) begin('a', id)
    begin('b', 1)
    assert.deepEqual([ids('a'), recent.of('a')?.completeTo, ids('b')], [[3, 4, 5], 0, [1]])
  })

  it('note nothing at the end of a fetch that is forgotten', () => {
    const { recent, begin } = setup({ maxFetches: 2 })
    const first = begin('a', 1)
    begin('b', 2)
    begin('c', 3)
    recent.end(first, 'stored', OWN)
    assert.deepEqual(
      ['b', 'c'].map(callback => recent.of(callback)?.fetches[0]?.result),
      [undefined, undefined],
    )
  })

  it('know all attempts if the numbers have no hole', () => {
    const { recent, begin } = setup()
    for (const attempt of [1, 2, 2, 3]) begin('a', 1, attempt)
    assert.equal(recent.of('a')?.completeTo, 3)
  })

  for (const attempts of [[2], [1, 3], [2, 3]]) {
    it(`miss the attempts of another replica: only ${attempts} ran here`, () => {
      const { recent, begin } = setup()
      for (const attempt of attempts) begin('a', 1, attempt)
      assert.equal(recent.of('a')?.completeTo, 0)
    })
  }

  it('miss nothing of the round after a retry, which counts from 1 again', () => {
    const { recent, begin } = setup()
    for (const attempt of [3, 1]) begin('a', 1, attempt)
    assert.equal(recent.of('a')?.completeTo, 1)
  })

  it('have one name for a result, however often it comes', () => {
    const { recent, begin } = setup()
    for (let i = 0; i < 1010; i += 1) recent.end(begin('a', i), 'stored', OWN)
    recent.end(begin('a', 1010), 'timeout', OWN)
    assert.equal(recent.of('a')?.fetches.at(-1)?.result, 'timeout')
  })

  it('call a thousand results by name, and the others "other"', () => {
    const { recent, begin } = setup()
    for (let i = 0; i < 1010; i += 1) recent.end(begin('a', i), `reason_${i}`, OWN)
    const results = recent.of('a')?.fetches.map(({ result }) => result) ?? []
    assert.deepEqual([results[0], results.at(-1)], ['reason_0', 'other'])
  })

  it('keep the newest fetches of each callback, within all bounds, after 20,000 random steps', () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    let state = seed
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return (state >>> 8) % below
    }
    const { begin, ids } = setup({ maxFetches: 40, maxCallbacks: 6, maxPerCallback: 9 })
    const callbacks = Array.from({ length: 12 }, (_, i) => ({ name: `callback ${i}`, attempt: 1, begun: [] as number[] }))
    for (let step = 0; step < 20_000; step += 1) {
      const callback = callbacks[random(callbacks.length)] as (typeof callbacks)[number]
      if (random(30) === 0) callback.attempt += 1
      callback.begun.push(step)
      begin(callback.name, step, callback.attempt)
      const known = callbacks.map(({ name, begun }) => {
        const kept = ids(name) ?? []
        assert.deepEqual(kept, begun.slice(begun.length - kept.length), `${name}, step ${step}, seed ${seed}`)
        assert.ok(kept.length <= 9, `${kept.length} fetches of ${name}, step ${step}, seed ${seed}`)
        return kept.length
      })
      assert.ok(known.reduce((sum, count) => sum + count) <= 40, `step ${step}, seed ${seed}`)
      assert.ok(known.filter(count => count > 0).length <= 6, `step ${step}, seed ${seed}`)
      assert.equal(ids(callback.name)?.at(-1), step, `seed ${seed}`)
    }
  })
})
