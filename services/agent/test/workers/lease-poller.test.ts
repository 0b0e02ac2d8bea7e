import assert from 'node:assert/strict'
import { createLogger } from '#foundation/telemetry/logger.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { AnswerbackUnavailableError } from '../../domain/answerback-errors.ts'
import type { Answerback, Lease } from '../../domain/lease.ts'
import { LeasePoller } from '../../workers/lease-poller.ts'
import { LeaseWork } from '../../workers/lease-work.ts'

const logger = await createLogger('test', 'silent')

describe('the poller', () => {
  let waits: number[]
  let answers: (Lease[] | Error | 'wait')[]
  let poller: LeasePoller
  let most: number
  let looks: number
  let ended: string[]
  let finish: PromiseWithResolvers<string>
  const backoff = { baseMs: 20, maxMs: 40 }

  const lease: Answerback['lease'] = async ({ waitSeconds }, signal) => {
    waits.push(waitSeconds)
    const answer = answers.shift() ?? 'wait'
    if (answer === 'wait') await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    if (answer instanceof Error) throw answer
    return answer === 'wait' ? [] : answer
  }

  beforeEach(() => {
    waits = []
    answers = []
    ended = []
    finish = Promise.withResolvers()
    backoff.maxMs = 40
    most = 10
    looks = 0
    poller = new LeasePoller({
      answerback: { lease },
      room: held => {
        looks += 1
        return held < most ? { callbacks: 1, objects: 1 } : undefined
      },
      roomInMs: () => Number.POSITIVE_INFINITY,
      waitSeconds: 30,
      backoff,
      random: () => 1,
      work: (given, atMs) =>
        new LeaseWork(given, atMs, {
          answerback: { deliver: async () => undefined, extend: async () => undefined, end: () => finish.promise },
          fetch: async () => ({ kind: 'not_found' }),
          mayHold: () => false,
          backoff: { baseMs: 1, maxMs: 1 },
          random: () => 1,
          onDelivered: () => undefined,
          onUnavailable: () => undefined,
          logger,
        }),
      interrupt: async () => finish.resolve('pending'),
      giveBackMs: 1000,
      cutOff: async () => undefined,
      onLeased: () => undefined,
      onEnded: state => ended.push(state),
      onUnavailable: () => undefined,
      logger,
    })
  })

  afterEach(() => poller.stop())

  const leaseOf = (token: string): Lease => ({
    location: `/v1/leases/${token}`,
    objects: `/v1/leases/${token}/objects`,
    objectIds: [1n],
    attempt: 1,
    durationMs: 30_000,
    trace: {},
    requestId: undefined,
  })

  it('does not wait in its first request, nor in the first one after a failure', async () => {
    answers = [[], [leaseOf('a')], new AnswerbackUnavailableError('http_503'), []]
    poller.start()
    await eventually('it waits', () => waits.length === 5)
    assert.deepEqual(waits, [0, 30, 30, 0, 30])
    assert.equal(poller.problem, undefined)
  })

  it('says why it gets no leases', async () => {
    assert.equal(poller.problem, 'it has not answered yet')
    answers = [[], new AnswerbackUnavailableError('agent_archived', { retryAfterMs: 60_000 })]
    poller.start()
    await eventually('it is told', () => poller.problem === 'agent_archived')
  })

  it('rests after answers without leases that come at once', async () => {
    answers = Array.from({ length: 50 }, () => [])
    poller.start()
    const started = performance.now()
    await eventually('it has asked six times', () => waits.length === 6)
    // 20 + 3 × 40 ms, and timers may be a little early.
    assert.ok(performance.now() - started >= 130, `${performance.now() - started} ms`)
  })

  it('asks less and less often while only the requests that wait are refused', async () => {
    backoff.maxMs = 1000
    answers = Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? [] : new AnswerbackUnavailableError('http_502')))
    poller.start()
    const started = performance.now()
    await eventually('it waits', () => waits.length === 9)
    // 20 + 40 + 80 + 160 ms instead of 4 × 20, and timers may be a little early.
    assert.ok(performance.now() - started >= 290, `${performance.now() - started} ms`)
  })

  it('asks for nothing while there is no room, and at once when a lease ends', async () => {
    answers = [[leaseOf('a')], [leaseOf('b')]]
    most = 1
    poller.start()
    await eventually('it holds one', () => poller.held === 1)
    poller.wake()
    await eventually('it has looked again', () => looks >= 3)
    assert.equal(waits.length, 1)
    finish.resolve('completed')
    await eventually('it has asked again', () => waits.length >= 2)
    assert.equal(ended[0], 'completed')
  })

  it('gives back what it holds when it stops', async () => {
    answers = [[leaseOf('a'), leaseOf('b')]]
    poller.start()
    await eventually('it holds two', () => poller.held === 2)
    await poller.stop()
    assert.deepEqual([ended, poller.held], [['pending', 'pending'], 0])
  })

  it('knows which lease came first', async () => {
    const [a, b] = [leaseOf('a'), leaseOf('b')]
    answers = [[a, b]]
    poller.start()
    await eventually('it holds two', () => poller.held === 2)
    assert.deepEqual([poller.isOldest(a), poller.isOldest(b)], [true, false])
  })
})
