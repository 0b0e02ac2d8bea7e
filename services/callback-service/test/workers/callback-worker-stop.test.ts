import assert from 'node:assert/strict'
import { eventually } from '../../../../test/support/eventually.ts'
import type { ClaimedCallback } from '../../domain/processing/claimed-callback.ts'
import type { CallbackWorker } from '../../workers/callback-worker.ts'
import { claimed, INTERRUPTED, workerInMemory } from './worker-in-memory.ts'

describe('CallbackWorker, stopping', () => {
  let worker: CallbackWorker

  afterEach(() => worker.stop())

  function setup(...changes: Parameters<typeof workerInMemory>) {
    const memory = workerInMemory(...changes)
    worker = memory.worker
    return memory
  }

  it('interrupts the running callbacks once, and gives them back before it resolves', async () => {
    let interrupts = 0
    const { processing, seen, put, started } = setup({
      interrupt: async () => {
        interrupts += 1
        for (const { end } of processing.values()) end(INTERRUPTED)
      },
    })
    put('a', 'b')
    worker.start()
    await started('a', 'b')
    await worker.stop()
    assert.equal(interrupts, 1)
    assert.deepEqual(seen.settled, [
      ['a', INTERRUPTED],
      ['b', INTERRUPTED],
    ])
    assert.deepEqual(seen.released, ['a', 'b'])
    assert.equal(worker.running, 0)
  })

  it('also gives back callbacks of a claim under way', async () => {
    let bring: ((callbacks: ClaimedCallback[]) => void) | undefined
    const claim = (): Promise<ClaimedCallback[]> =>
      new Promise(resolve => {
        bring = resolve
      })
    const { seen } = setup({ process: async () => INTERRUPTED }, { claim })
    worker.start()
    await eventually('it claims', () => bring !== undefined)
    const stopped = worker.stop()
    bring?.([claimed('late')])
    await stopped
    assert.deepEqual(seen.settled, [['late', INTERRUPTED]])
    assert.deepEqual(seen.released, ['late'])
  })

  it('claims nothing more', async () => {
    const { seen, put, started } = setup()
    put('a')
    worker.start()
    await started('a')
    await worker.stop()
    const before = seen.claims.length
    put('b')
    await new Promise(setImmediate)
    assert.equal(seen.claims.length, before)
  })
})
