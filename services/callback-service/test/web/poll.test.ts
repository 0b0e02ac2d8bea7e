import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { askUntilAnswered, Poll, type PollOptions } from '../../web/poll.ts'

describe('Poll', () => {
  it('asks again a second after it asked, however long the answer took', async () => {
    const { poll, waits, tick } = polling({ ask: async () => tick(300) })
    poll.start()
    await setImmediate()
    assert.deepEqual(waits, [700])
  })

  it('rests a little after an answer that took longer than a second', async () => {
    const { poll, waits, tick } = polling({ ask: async () => tick(3000) })
    poll.start()
    await setImmediate()
    assert.deepEqual(waits, [200])
  })

  it('asks rarely while nobody looks', async () => {
    const { poll, waits } = polling({ isHidden: () => true })
    poll.start()
    await setImmediate()
    assert.deepEqual(waits, [15_000])
  })

  it('asks less and less often while nobody answers, and every second again after an answer', async () => {
    let failures = 6
    const { poll, waits, next } = polling({ ask: async () => void (failures-- > 0 && (await Promise.reject(new Error('away')))) })
    poll.start()
    for (let asked = 0; asked < 6; asked++) await next()
    assert.deepEqual(waits, [750, 1500, 3000, 3750, 3750, 3750, 1000])
  })

  it('says each failure', async () => {
    const failures: unknown[] = []
    const { poll } = polling({ ask: () => Promise.reject(new Error('away')), onFailure: error => failures.push(error) })
    poll.start()
    await setImmediate()
    assert.deepEqual(failures.map(String), ['Error: away'])
  })

  it('never asks twice at a time', async () => {
    let asked = 0
    const { poll } = polling({
      ask: () => {
        asked++
        return new Promise(() => undefined)
      },
    })
    poll.start()
    poll.start()
    poll.hurry()
    assert.equal(asked, 1)
  })

  it('asks at once when it shall hurry, and only then again', async () => {
    let asked = 0
    const { poll, forgotten } = polling({ ask: async () => void asked++ })
    poll.start()
    await setImmediate()
    poll.hurry()
    await setImmediate()
    assert.deepEqual([asked, forgotten()], [2, 1])
  })

  it('asks nothing more once stopped, also when an answer comes later', async () => {
    const answer = Promise.withResolvers<void>()
    const { poll, waits } = polling({ ask: () => answer.promise })
    poll.start()
    poll.stop()
    answer.resolve()
    await setImmediate()
    poll.hurry()
    assert.deepEqual(waits, [])
  })

  it('waits as long as it is told', async () => {
    const { poll, waits } = polling({ intervalMs: () => 5000 })
    poll.start()
    await setImmediate()
    assert.deepEqual(waits, [5000])
  })

  it('asks once more after the present answer if somebody has changed something meanwhile', async () => {
    const answers: (() => void)[] = []
    const { poll, waits } = polling({ ask: () => new Promise(resolve => answers.push(resolve)) })
    poll.start()
    poll.again()
    answers.shift()?.()
    await setImmediate()
    assert.deepEqual(waits, [0])
  })

  it('asks at once if somebody has changed something and no answer is due', async () => {
    let asked = 0
    const { poll } = polling({ ask: async () => void asked++ })
    poll.start()
    await setImmediate()
    poll.again()
    assert.equal(asked, 2)
  })
})

/** A poll with a clock and timers of its own. The middle of the jitter is 0.75. */
function polling(options: Partial<PollOptions>) {
  const waits: number[] = []
  let forgotten = 0
  let now = 0
  let due: (() => void) | undefined
  const poll = new Poll({
    ask: async () => undefined,
    onFailure: () => undefined,
    isHidden: () => false,
    random: () => 0.5,
    now: () => now,
    later: (run, ms) => {
      waits.push(ms)
      due = run
      return () => forgotten++
    },
    ...options,
  })
  const next = async (): Promise<void> => {
    await setImmediate()
    due?.()
    await setImmediate()
  }
  const tick = (ms: number): void => {
    now += ms
  }
  return { poll, waits, next, tick, forgotten: () => forgotten }
}

describe('askUntilAnswered', () => {
  it('asks again after a failure, and no more after an answer', async () => {
    const answers = [Promise.reject(new Error('away')), Promise.resolve('shop')]
    const answer = await new Promise(resolve => askUntilAnswered(() => answers.shift() ?? Promise.reject(new Error('too often')), resolve))
    assert.deepEqual([answer, answers], ['shop', []])
  })

  it('drops an answer that comes after its end', async () => {
    let answer: (text: string) => void = () => undefined
    const taken: string[] = []
    const end = askUntilAnswered(
      () => new Promise<string>(resolve => (answer = resolve)),
      text => taken.push(text),
    )
    end()
    answer('late')
    await setImmediate()
    assert.deepEqual(taken, [])
  })
})
