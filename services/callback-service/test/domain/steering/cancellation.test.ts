import assert from 'node:assert/strict'
import { cancelWithin } from '../../../domain/steering/cancellation.ts'
import type { Found } from '../../../domain/steering/steered.ts'

/** A callback whose state follows a script by time, in milliseconds. */
function scripted(stateAt: (nowMs: number, isWished: boolean) => Found) {
  let now = 0
  let isWished = false
  let state: Found
  const calls: string[] = []
  const current = (): Found => {
    const found = state ?? stateAt(now, isWished)
    if (found === 'cancelled') state = found
    return found
  }
  const callback = {
    cancel: async () => {
      const found = current()
      if (found === 'pending' || found === 'paused') state = 'cancelled'
      return found
    },
    wish: async () => {
      calls.push(`wish at ${now}`)
      if (current() !== 'running') return undefined
      isWished = true
      return {
        withdraw: async () => {
          calls.push(`withdraw at ${now}`)
          isWished = false
        },
      }
    },
    isWished: async () => current() === 'running',
  }
  const cancel = (waitMs: number, isGone = (_nowMs: number) => false) =>
    cancelWithin(callback, {
      waitMs,
      isGone: () => isGone(now),
      nowMs: () => now,
      rest: async ms => {
        now += ms
      },
    })
  return { cancel, calls, now: () => now }
}

describe('cancelWithin', () => {
  for (const found of ['pending', 'paused', 'cancelled', 'completed', 'failed', 'spooled', undefined] as const) {
    it(`answers at once where it finds: ${found}`, async () => {
      const { cancel, calls } = scripted(() => found)
      assert.equal(await cancel(5000), found)
      assert.deepEqual(calls, [])
    })
  }

  it('wishes nothing of a running callback without a wait', async () => {
    const { cancel, calls } = scripted(() => 'running')
    assert.deepEqual([await cancel(0), calls], ['running', []])
  })

  it('waits until the worker has given it back', async () => {
    const { cancel, now } = scripted((nowMs, isWished) => (isWished && nowMs >= 500 ? 'cancelled' : 'running'))
    assert.equal(await cancel(5000), 'cancelled')
    assert.equal(now(), 600)
  })

  it('says that it completed meanwhile', async () => {
    const { cancel } = scripted(nowMs => (nowMs >= 300 ? 'completed' : 'running'))
    assert.equal(await cancel(5000), 'completed')
  })

  it('cancels what came back to the inbox all the same', async () => {
    const { cancel } = scripted(nowMs => (nowMs >= 300 ? 'paused' : 'running'))
    assert.equal(await cancel(5000), 'paused')
  })

  it('withdraws its wish when the time is over', async () => {
    const { cancel, calls } = scripted(() => 'running')
    assert.equal(await cancel(1000), 'running')
    assert.deepEqual(calls, ['wish at 0', 'withdraw at 1000'])
  })

  it('withdraws its wish when nobody waits any more', async () => {
    const { cancel, calls } = scripted(() => 'running')
    assert.equal(await cancel(30_000, nowMs => nowMs >= 400), 'running')
    assert.deepEqual(calls, ['wish at 0', 'withdraw at 400'])
  })

  it('wishes again of a callback that another worker has claimed meanwhile', async () => {
    let polls = 0
    const { cancel, calls } = scripted(nowMs => {
      polls += 1
      return nowMs === 0 && polls === 3 ? 'pending' : 'running'
    })
    assert.equal(await cancel(400), 'running')
    assert.deepEqual(calls, ['wish at 0', 'withdraw at 0', 'wish at 0', 'withdraw at 400'])
  })
})
