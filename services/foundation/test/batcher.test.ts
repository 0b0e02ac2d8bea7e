import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { Batcher, BatcherFullError, type BatcherOptions, BatchTimeoutError } from '../batcher.ts'

class ItemFault extends Error {}

/** A batcher whose writes the test ends by hand. */
function setup(options: Partial<BatcherOptions<number, string>> = {}) {
  const writes: { items: readonly number[]; succeed: () => void; fail: (error: Error) => void }[] = []
  const batcher = new Batcher<number, string>({
    write: items =>
      new Promise((resolve, reject) => {
        writes.push({ items, succeed: () => resolve(items.map(item => `wrote ${item}`)), fail: reject })
      }),
    maxBatch: 100,
    ...options,
  })
  return { batcher, writes, written: () => writes.map(write => write.items) }
}

/** A batcher that gathers what is added in one turn, and whose writes refuse certain items. */
function setupRefusing(isBad: (item: number) => boolean) {
  const written: number[] = []
  let calls = 0
  const batcher = new Batcher<number, string>({
    write: async items => {
      calls += 1
      if (items.some(isBad)) throw new ItemFault()
      written.push(...items)
      return items.map(item => `wrote ${item}`)
    },
    maxBatch: 100,
    lingerMs: 1,
    isItemFault: error => error instanceof ItemFault,
  })
  return { batcher, written, calls: () => calls }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('Batcher', () => {
  it('writes a single item at once, and items that come during a write together', async () => {
    const { batcher, writes, written } = setup()
    const results = Promise.all([1, 2, 3].map(item => batcher.add(item)))
    assert.deepEqual(written(), [[1]])
    writes[0]?.succeed()
    await turn()
    assert.deepEqual(written(), [[1], [2, 3]])
    writes[1]?.succeed()
    assert.deepEqual(await results, ['wrote 1', 'wrote 2', 'wrote 3'])
  })

  it('waits for lingerMs for more items, and no longer once the batch is full', async () => {
    const { batcher, written } = setup({ lingerMs: 500, maxBatch: 3 })
    const started = performance.now()
    for (const item of [1, 2]) void batcher.add(item)
    await turn()
    assert.deepEqual(written(), [])
    void batcher.add(3)
    assert.deepEqual(written(), [[1, 2, 3]])
    assert.ok(performance.now() - started < 500, 'the batch was full before it had lingered')
  })

  it('writes a batch after lingerMs, full or not', async () => {
    const { batcher, writes, written } = setup({ lingerMs: 20 })
    const started = performance.now()
    const results = Promise.all([batcher.add(1), batcher.add(2)])
    while (writes.length === 0) await turn()
    assert.ok(performance.now() - started >= 19)
    assert.deepEqual(written(), [[1, 2]])
    writes[0]?.succeed()
    await results
  })

  it('writes nothing after lingerMs if the items were written with a full batch', async () => {
    const { batcher, writes, written } = setup({ lingerMs: 10, maxBatch: 2 })
    const results = Promise.all([batcher.add(1), batcher.add(2)])
    writes[0]?.succeed()
    await results
    await sleep(20)
    assert.deepEqual(written(), [[1, 2]])
  })

  it('never has more than maxInFlight writes under way', async () => {
    const { batcher, writes, written } = setup({ maxInFlight: 2 })
    for (const item of [1, 2, 3, 4]) void batcher.add(item)
    assert.deepEqual(written(), [[1], [2]])
    writes[1]?.succeed()
    await turn()
    assert.deepEqual(written(), [[1], [2], [3, 4]])
  })

  it('never has more writes under way after lingerMs either', async () => {
    const { batcher, writes, written } = setup({ lingerMs: 10, maxBatch: 2 })
    // The first lingers until the second fills the batch; its timer is still to come.
    for (const item of [1, 2, 3]) void batcher.add(item)
    await sleep(30)
    assert.deepEqual(written(), [[1, 2]])
    writes[0]?.succeed()
    while (writes.length === 1) await turn()
    assert.deepEqual(written(), [[1, 2], [3]])
  })

  it('never writes more than maxBatch items at once', async () => {
    const { batcher, writes, written } = setup({ maxBatch: 2 })
    for (const item of [1, 2, 3, 4]) void batcher.add(item)
    writes[0]?.succeed()
    await turn()
    writes[1]?.succeed()
    await turn()
    assert.deepEqual(written(), [[1], [2, 3], [4]])
  })

  it('refuses an item while maxWaiting are waiting, and accepts one afterwards', async () => {
    const { batcher, writes, written } = setup({ maxWaiting: 2 })
    for (const item of [1, 2, 3]) void batcher.add(item)
    assert.equal(batcher.waiting, 2)
    await assert.rejects(batcher.add(4), BatcherFullError)
    writes[0]?.succeed()
    await turn()
    void batcher.add(5)
    writes[1]?.succeed()
    await turn()
    assert.deepEqual(written(), [[1], [2, 3], [5]])
  })

  it('reports the number of items written and the time it took', async () => {
    const told: [number, number][] = []
    const { batcher, writes } = setup({ onWrite: (size, seconds) => told.push([size, seconds]) })
    const started = performance.now()
    const result = batcher.add(1)
    await sleep(10)
    writes[0]?.succeed()
    await result
    const tookSeconds = (performance.now() - started) / 1000
    assert.equal(told[0]?.[0], 1)
    assert.ok((told[0]?.[1] ?? 0) >= 0.009 && (told[0]?.[1] ?? 9) <= tookSeconds, `${told[0]?.[1]} s of ${tookSeconds}`)
  })

  it('works without onWrite', async () => {
    const { batcher, writes, written } = setup({ lingerMs: 1, isItemFault: () => true })
    const results = Promise.all([batcher.add(1), batcher.add(2)])
    while (writes.length === 0) await turn()
    writes[0]?.succeed()
    await results
    await turn()
    assert.deepEqual(written(), [[1, 2]])
  })

  describe('with timeoutMs', () => {
    async function outcomeOf(result: Promise<string>): Promise<{ error: unknown; tookMs: number }> {
      const started = performance.now()
      const error = await result.then(
        () => assert.fail('expected a timeout'),
        (reason: unknown) => reason,
      )
      return { error, tookMs: performance.now() - started }
    }

    it('fails waiting items and items of a hanging write in time', async () => {
      const { batcher } = setup({ timeoutMs: 50 })
      const [hung, waiting] = [outcomeOf(batcher.add(1)), outcomeOf(batcher.add(2))]
      for (const { error, tookMs } of [await hung, await waiting]) {
        assert.ok(error instanceof BatchTimeoutError)
        assert.ok(tookMs >= 49 && tookMs < 500, `${tookMs} ms`)
      }
    })

    for (const maxInFlight of [1, 2]) {
      it(`gives each item its whole time, also those that came long after the first, with ${maxInFlight} writes at once`, async () => {
        const { batcher } = setup({ timeoutMs: 60, maxInFlight })
        const first = outcomeOf(batcher.add(1))
        await sleep(40)
        const second = outcomeOf(batcher.add(2))
        for (const { tookMs } of [await first, await second]) assert.ok(tookMs >= 59 && tookMs < 400, `${tookMs} ms`)
      })
    }

    it('sets no more timers than it needs, and none without a timeout', async () => {
      const { mock: timers } = mock.method(globalThis, 'setTimeout')
      try {
        void setup().batcher.add(1)
        assert.equal(timers.callCount(), 0)
        const { batcher } = setup({ timeoutMs: 60 })
        const first = outcomeOf(batcher.add(1))
        await sleep(30)
        await Promise.all([first, outcomeOf(batcher.add(2))])
        // Two, and another for each that fired a moment too early.
        assert.ok(timers.callCount() <= 5, `${timers.callCount()} timers`)
        const count = timers.callCount()
        await sleep(20)
        assert.equal(timers.callCount(), count)
      } finally {
        timers.restore()
      }
    })

    it('continues when the write ends, and does not write expired items', async () => {
      const { batcher, writes, written } = setup({ timeoutMs: 30 })
      await Promise.all([outcomeOf(batcher.add(1)), outcomeOf(batcher.add(2))])
      const later = batcher.add(3)
      writes[0]?.succeed()
      await turn()
      writes[1]?.succeed()
      assert.equal(await later, 'wrote 3')
      assert.deepEqual(written(), [[1], [3]])
    })

    it('does not fail items that were written in time', async () => {
      const { batcher, writes } = setup({ timeoutMs: 30 })
      const result = batcher.add(1)
      writes[0]?.succeed()
      assert.equal(await result, 'wrote 1')
      const next = outcomeOf(batcher.add(2))
      assert.ok((await next).tookMs >= 29)
    })
  })

  describe('when a write fails', () => {
    for (const [what, options] of [
      ['is no single item’s fault', { isItemFault: (error: unknown) => error instanceof ItemFault }],
      ['nobody knows the cause of', {}],
    ] as const) {
      it(`fails the whole batch with an error that ${what}, and writes the next`, async () => {
        const { batcher, writes } = setup(options)
        const first = assert.rejects(batcher.add(1), /no database/)
        const [second, third] = [assert.rejects(batcher.add(2), /gone/), assert.rejects(batcher.add(3), /gone/)]
        writes[0]?.fail(new Error('no database'))
        await first
        await turn()
        writes[1]?.fail(new Error('gone'))
        await Promise.all([second, third])
        assert.equal(writes.length, 2)
      })
    }

    it('finds the bad item by halving, and only that item fails', async () => {
      const { batcher, written, calls } = setupRefusing(item => item === 5)
      const outcomes = await Promise.allSettled([1, 2, 3, 4, 5, 6, 7, 8].map(item => batcher.add(item)))
      assert.deepEqual(
        outcomes.flatMap((outcome, i) => (outcome.status === 'rejected' ? [i + 1] : [])),
        [5],
      )
      assert.deepEqual(written.toSorted(), [1, 2, 3, 4, 6, 7, 8])
      assert.equal(calls(), 7)
    })

    it('writes each good item exactly once and fails each bad one, whichever they are', async () => {
      const items = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 })
      await fc.assert(
        fc.asyncProperty(items, async isBad => {
          const { batcher, written } = setupRefusing(item => isBad[item] === true)
          const outcomes = await Promise.allSettled(isBad.map((_, item) => batcher.add(item)))
          const innocent = isBad.flatMap((bad, item) => (bad ? [] : [item]))
          assert.deepEqual(written, innocent)
          assert.deepEqual(
            outcomes.map(outcome => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason.constructor)),
            isBad.map((bad, item) => (bad ? ItemFault : `wrote ${item}`)),
          )
        }),
        { numRuns: 50 },
      )
    })
  })

  it('is idle only when nothing waits and nothing is being written', async () => {
    const { batcher, writes } = setup()
    await batcher.idle()
    const results = Promise.all([batcher.add(1), batcher.add(2)])
    let isIdle = false
    const idle = batcher.idle().then(() => {
      isIdle = true
    })
    writes[0]?.succeed()
    await turn()
    assert.equal(isIdle, false)
    writes[1]?.succeed()
    await Promise.all([idle, results])
  })

  it('writes what lingers as soon as it is flushed', async () => {
    const { batcher, writes, written } = setup({ lingerMs: 60_000 })
    const results = Promise.all([1, 2].map(item => batcher.add(item)))
    batcher.flush()
    assert.deepEqual(written(), [[1, 2]])
    writes[0]?.succeed()
    assert.deepEqual(await results, ['wrote 1', 'wrote 2'])
  })

  it('writes what was flushed during a write right after it, in as many batches as it takes, and lingers again then', async () => {
    const { batcher, writes, written } = setup({ lingerMs: 60_000, maxBatch: 2 })
    for (const item of [1, 2, 3, 4, 5]) void batcher.add(item)
    batcher.flush()
    for (const count of [1, 2]) {
      assert.equal(written().length, count)
      writes[count - 1]?.succeed()
      await turn()
    }
    assert.deepEqual(written(), [[1, 2], [3, 4], [5]])
    writes[2]?.succeed()
    await turn()
    const last = batcher.add(6)
    await turn()
    assert.equal(written().length, 3)
    batcher.flush()
    writes[3]?.succeed()
    await last
  })

  it('has nothing to flush while nothing waits', () => {
    const { batcher, written } = setup({ lingerMs: 60_000 })
    batcher.flush()
    assert.deepEqual(written(), [])
  })

  it('is not idle while something lingers', async () => {
    const { batcher, writes } = setup({ lingerMs: 20, maxBatch: 2 })
    const results = Promise.all([1, 2, 3].map(item => batcher.add(item)))
    let idle = 0
    const isIdle = (): number => {
      idle += 1
      return idle
    }
    const early = batcher.idle().then(isIdle)
    writes[0]?.succeed()
    await turn()
    const late = batcher.idle().then(isIdle)
    await turn()
    assert.equal(idle, 0)
    while (writes.length === 1) await turn()
    writes[1]?.succeed()
    await Promise.all([early, late, results])
  })

  it('is not idle while only a write is under way', async () => {
    const { batcher, writes } = setup()
    const result = batcher.add(1)
    let isIdle = false
    const idle = batcher.idle().then(() => {
      isIdle = true
    })
    await turn()
    assert.equal(isIdle, false)
    writes[0]?.succeed()
    await Promise.all([idle, result])
  })
})
