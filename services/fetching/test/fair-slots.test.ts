import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { FairSlots, type FairSlotsOptions } from '../fair-slots.ts'

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** Makes slots whose requests the test ends. */
function setup(options: Partial<FairSlotsOptions> = {}) {
  const slots = new FairSlots({ concurrency: 4, reserve: 0, weightOf: () => 1, ...options })
  const running: { workspace: string; end: () => void }[] = []
  const ask = (workspace: string, count = 1): void => {
    for (let i = 0; i < count; i += 1) {
      void slots.run(workspace, () => new Promise<void>(resolve => running.push({ workspace, end: resolve })))
    }
  }
  return {
    slots,
    ask,
    /** @returns the number of requests under way of each workspace */
    held: async (): Promise<Record<string, number>> => {
      await turn()
      return Object.fromEntries([...Map.groupBy(running, ({ workspace }) => workspace)].map(([name, all]) => [name, all.length]))
    },
    /** Ends the oldest request under way, of that workspace if one is given. */
    end: async (workspace?: string): Promise<void> => {
      const index = running.findIndex(request => workspace === undefined || request.workspace === workspace)
      running.splice(index, 1)[0]?.end()
      await turn()
    },
  }
}

describe('FairSlots', () => {
  it('says how many requests are under way and how many wait, in all and of each workspace', async () => {
    const { slots, ask, held } = setup()
    ask('a', 6)
    await held()
    ask('b', 1)
    assert.deepEqual([slots.inFlight, slots.waiting, slots.concurrency], [4, 3, 4])
    const { inFlight, waiting } = slots.requestsOf('a')
    assert.deepEqual([inFlight, waiting], [4, 2])
    assert.deepEqual(slots.requestsOf('unknown'), { inFlight: 0, waiting: 0 })
  })

  it('lets one workspace use all slots while no other waits', async () => {
    const { ask, held } = setup()
    ask('a', 10)
    assert.deepEqual(await held(), { a: 4 })
  })

  it('gives a free slot to the workspace with the fewest requests under way, whatever came first', async () => {
    const { ask, held, end } = setup()
    ask('hog', 100)
    await held()
    ask('b', 3)
    await end('hog')
    await end('hog')
    assert.deepEqual(await held(), { hog: 2, b: 2 })
    await end('b')
    assert.deepEqual(await held(), { hog: 2, b: 2 })
    await end('b')
    assert.deepEqual(await held(), { hog: 3, b: 1 }, 'b has nothing more to ask for')
  })

  it('shares scarce slots by weight', async () => {
    const { ask, held, end } = setup({ concurrency: 30, weightOf: name => (name === 'heavy' ? 2 : 1) })
    ask('light', 300)
    ask('heavy', 300)
    for (let i = 0; i < 200; i += 1) await end()
    assert.deepEqual(await held(), { light: 10, heavy: 20 })
  })

  it('serves workspaces with equally many in turn', async () => {
    const { ask, held, end } = setup({ concurrency: 1 })
    ask('hog', 3)
    const order: string[] = []
    for (const name of ['b', 'c', 'd']) ask(name, 2)
    for (let i = 0; i < 9; i += 1) {
      order.push(...Object.keys(await held()))
      await end()
    }
    assert.deepEqual(order.slice(1, 5).toSorted(), ['b', 'c', 'd', 'hog'])
    assert.deepEqual(order.toSorted(), ['b', 'b', 'c', 'c', 'd', 'd', 'hog', 'hog', 'hog'])
  })

  it('follows a new concurrency', async () => {
    const { slots, ask, held, end } = setup({ concurrency: 2 })
    ask('a', 10)
    slots.concurrency = 5
    assert.deepEqual(await held(), { a: 5 })
    slots.concurrency = 1
    for (let i = 0; i < 4; i += 1) await end()
    assert.deepEqual(await held(), { a: 1 })
  })

  it('frees the slot of a request that fails, and passes the failure on', async () => {
    const { slots } = setup({ concurrency: 1 })
    const failure = new Error('no')
    await assert.rejects(
      slots.run('a', () => Promise.reject(failure)),
      failure,
    )
    assert.equal(await slots.run('a', async () => 7), 7)
    assert.deepEqual([slots.inFlight, slots.waiting], [0, 0])
  })

  it('runs each request in the trace of its caller, whoever made the slot free', async () => {
    const storage = new AsyncLocalStorage<string>()
    const { slots, ask, held, end } = setup({ concurrency: 1 })
    ask('hog')
    const seen = ['b', 'c', 'b'].map((name, i) => storage.run(`${name}${i}`, () => slots.run(name, async () => storage.getStore())))
    await held()
    await end('hog')
    assert.deepEqual(await Promise.all(seen), ['b0', 'c1', 'b2'])
  })

  describe('the reserve', () => {
    it('lets a workspace with few requests run while another holds all slots', async () => {
      const { slots, ask, held } = setup({ concurrency: 20, reserve: 16 })
      ask('hog', 100)
      await held()
      ask('b', 5)
      assert.deepEqual(await held(), { hog: 20, b: 2 })
      assert.deepEqual([slots.inFlight, slots.waiting], [22, 83])
    })

    it('serves one after the other of such a workspace while the hog hangs', async () => {
      const { ask, held, end } = setup({ concurrency: 20, reserve: 16 })
      ask('hog', 100)
      await held()
      ask('b', 500)
      const before = (await held())['b'] as number
      for (let i = 0; i < 400; i += 1) await end('b')
      assert.equal((await held())['b'], before)
      assert.deepEqual((await held())['hog'], 20)
    })

    it('stays unused with one workspace', async () => {
      const { ask, held } = setup({ concurrency: 2, reserve: 64 })
      ask('a', 100)
      assert.deepEqual(await held(), { a: 2 })
    })

    it('is never exceeded, however many workspaces wait', async () => {
      const { slots, ask, held, end } = setup({ concurrency: 10, reserve: 8 })
      ask('hog', 100)
      for (let i = 0; i < 50; i += 1) ask(`w${i}`, 3)
      for (let i = 0; i < 100; i += 1) {
        await end()
        assert.ok(slots.inFlight <= 18, `${slots.inFlight} under way`)
      }
      await held()
    })

    it('gives a workspace no more than its share of the slots', async () => {
      const { ask, held } = setup({ concurrency: 2, reserve: 64 })
      ask('a', 10)
      await held()
      ask('b', 10)
      assert.deepEqual(await held(), { a: 2, b: 1 })
    })

    it('leaves nothing behind: all is served in the end', async () => {
      const { slots, ask, held, end } = setup({ concurrency: 5, reserve: 8 })
      for (let i = 0; i < 20; i += 1) ask(`w${i % 7}`, 1 + (i % 5))
      await held()
      for (let i = 0; i < 60; i += 1) await end()
      assert.deepEqual([slots.inFlight, slots.waiting, slots.requestsOf('w1')], [0, 0, { inFlight: 0, waiting: 0 }])
    })
  })
})
