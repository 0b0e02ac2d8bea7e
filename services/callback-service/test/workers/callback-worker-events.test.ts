import assert from 'node:assert/strict'
import type { CallbackEvent } from '../../domain/callback-event.ts'
import { COMPLETED, claimed, INTERRUPTED, workerInMemory } from './worker-in-memory.ts'

describe('the events of CallbackWorker', () => {
  let events: CallbackEvent[]
  let work: ReturnType<typeof workerInMemory>

  afterEach(() => work.worker.stop())

  function start(claims: Parameters<typeof workerInMemory>[1] = {}): void {
    events = []
    work = workerInMemory({ emit: event => events.push(event) }, claims)
    work.worker.start()
  }

  async function process(verdict = COMPLETED): Promise<void> {
    work.inbox.push({ ...claimed('a'), missingIds: [1n, 2n], waitedMs: 40 })
    work.worker.wake()
    await work.started('a')
    work.end('a', verdict)
    await work.released('a')
  }

  it('tell of a claim, and of the state in which the callback leaves with how many objects it had', async () => {
    start()
    await process()
    const [claim, settled] = events
    assert.deepEqual(claim, { event: 'claimed', id: 'a', workspace: 'shop', attempt: 1, waitedMs: 40 })
    assert.ok(settled?.event === 'settled' && settled.workedMs >= 0)
    const { workedMs: _, ...rest } = settled
    assert.deepEqual(rest, { event: 'settled', id: 'a', workspace: 'shop', attempt: 1, state: 'completed', objects: 2, waitedMs: 40 })
  })

  it('tell of a callback that goes back to the inbox', async () => {
    start()
    await process(INTERRUPTED)
    assert.deepEqual(
      events.map(happened => happened.event === 'settled' && happened.state),
      [false, 'pending'],
    )
  })

  it('do not tell of a verdict that the database did not take', async () => {
    start({ settle: async () => undefined })
    await process()
    assert.deepEqual(
      events.map(({ event }) => event),
      ['claimed'],
    )
  })
})
