import assert from 'node:assert/strict'
import { CircuitBreaker, type CircuitBreakerOptions, type Pass, type PassResult } from '../circuit-breaker.ts'

const IDS = [1n, 2n, 3n]

function setup(options: Partial<CircuitBreakerOptions> = {}) {
  const state = { nowMs: 1000, resumed: 0 }
  const breaker = new CircuitBreaker({
    objects: 3,
    openMs: 1000,
    maxOpenMs: 1000,
    maxPauseMs: 60_000,
    onResumed: () => {
      state.resumed += 1
    },
    nowMs: () => state.nowMs,
    ...options,
  })
  const admit = (id = 1n): Pass => {
    const pass = breaker.admit(id)
    assert.ok(pass, 'expected to be admitted')
    return pass
  }
  const ask = (result: PassResult, ...ids: bigint[]): void => {
    for (const pass of ids.map(admit)) breaker.report(pass, result)
  }
  const advance = (ms: number): void => {
    state.nowMs += ms
  }
  return {
    state,
    breaker,
    admit,
    advance,
    answer: (...ids: bigint[]) => ask('answered', ...ids),
    fail: (...ids: bigint[]) => ask('failed', ...ids),
    pushBack: (ms: number, ...ids: bigint[]) => {
      for (const pass of ids.map(admit)) breaker.report(pass, 'pushed_back', { ms, reason: 'http_429' })
    },
    /** Opens the breaker like an outage at the start: nothing was ever answered, so there are no witnesses. */
    open: () => {
      ask('failed', ...IDS)
      assert.deepEqual(breaker.takeQuestions(), [])
      advance(650)
      assert.equal(breaker.state, 'open')
    },
  }
}

describe('CircuitBreaker', () => {
  describe('in an outage', () => {
    it('opens within a second when several objects fail and nothing is answered', () => {
      const { breaker, fail, answer, advance } = setup()
      answer(7n)
      advance(100)
      fail(...IDS)
      assert.deepEqual(breaker.takeQuestions(), [])
      advance(150)
      fail(4n)
      advance(649)
      assert.equal(breaker.state, 'closed')
      advance(1)
      assert.equal(breaker.state, 'open')
      assert.equal(breaker.admit(9n), undefined)
      assert.equal(breaker.waitMs, 1000)
    })

    it('opens at once when all witnesses fail', () => {
      const { breaker, fail, answer, advance } = setup()
      answer(7n, 8n)
      advance(250)
      fail(...IDS)
      const [first, second, third] = breaker.takeQuestions()
      assert.ok(first && second && !third)
      breaker.report(first, 'failed')
      assert.equal(breaker.state, 'closed')
      breaker.report(second, 'failed')
      assert.equal(breaker.state, 'open')
    })

    it('doubts a host that answers nothing for five seconds, however few objects fail', () => {
      const { breaker, fail, advance } = setup()
      fail(1n)
      for (let i = 0; i < 5; i += 1) {
        advance(1000)
        fail(1n)
      }
      assert.equal(breaker.state, 'closed')
      advance(650)
      assert.equal(breaker.state, 'open')
    })

    it('lets one probe leave per second, even while another is under way', () => {
      const { breaker, admit, open, advance } = setup()
      open()
      advance(1000)
      assert.equal(breaker.state, 'half-open')
      assert.equal(admit().isProbe, true)
      assert.deepEqual([breaker.admit(2n), breaker.waitMs, breaker.state], [undefined, 1000, 'open'])
      advance(1000)
      assert.equal(admit(2n).isProbe, true)
    })

    it('lets probes leave less and less often, up to a bound', () => {
      const { breaker, fail, open, advance } = setup({ maxOpenMs: 3000 })
      open()
      for (const expected of [2000, 3000, 3000]) {
        advance(breaker.waitMs)
        fail(1n)
        assert.equal(breaker.waitMs, expected)
      }
    })

    it('begins with frequent probes in each outage', () => {
      const { breaker, admit, answer, fail, open, advance } = setup({ maxOpenMs: 8000 })
      open()
      for (let probes = 0; probes < 2; probes += 1) {
        advance(breaker.waitMs)
        fail(1n)
      }
      assert.equal(breaker.waitMs, 4000)
      advance(4000)
      breaker.report(admit(), 'answered')
      answer(1n)
      advance(250)
      fail(...IDS)
      for (const question of breaker.takeQuestions()) breaker.report(question, 'failed')
      advance(650)
      assert.deepEqual([breaker.state, breaker.waitMs], ['open', 1000])
    })

    it('closes with the first answer, and says so', () => {
      const { state, breaker, admit, open, advance } = setup()
      open()
      advance(1000)
      breaker.report(admit(), 'answered')
      assert.deepEqual([breaker.state, breaker.waitMs, breaker.isInDoubt, state.resumed], ['closed', 0, false, 1])
      assert.equal(admit().isProbe, false)
    })

    it('remembers that the host was down a moment ago', () => {
      const { breaker, admit, open, advance } = setup()
      const failedAtMs = breaker.nowMs
      open()
      advance(1000)
      breaker.report(admit(), 'answered')
      assert.equal(breaker.wasHostWell(breaker.nowMs), false)
      advance(1)
      assert.deepEqual([breaker.wasHostWell(failedAtMs), breaker.wasHostWell(breaker.nowMs)], [false, true])
    })

    it('counts a push-back as a sign of life', () => {
      const { breaker, admit, open, advance } = setup()
      open()
      advance(1000)
      breaker.report(admit(), 'pushed_back')
      assert.equal(breaker.state, 'closed')
    })

    it('ignores answers to requests that left before the doubt', () => {
      const { breaker, admit, open, advance } = setup()
      const late = [admit(8n), admit(9n)] as const
      open()
      breaker.report(late[0], 'answered')
      assert.equal(breaker.state, 'open')
      advance(1000)
      breaker.report(late[1], 'answered')
      assert.equal(breaker.state, 'half-open')
    })

    it('accepts a slow answer to a request that left during the doubt', () => {
      const { breaker, admit, fail, advance } = setup()
      fail(...IDS)
      const slow = admit(9n)
      advance(700)
      assert.equal(breaker.state, 'open')
      breaker.report(slow, 'answered')
      assert.equal(breaker.state, 'closed')
    })

    it('ignores failures of requests that left before it closed', () => {
      const { breaker, admit, open, advance } = setup()
      const late = IDS.map(admit)
      open()
      advance(1000)
      breaker.report(admit(), 'answered')
      for (const pass of late) breaker.report(pass, 'failed')
      assert.equal(breaker.isInDoubt, false)
    })
  })

  describe('with bad objects among good ones', () => {
    it('stays closed when many fail at once, as long as others are answered', () => {
      const { breaker, fail, answer, advance } = setup()
      answer(100n)
      for (let i = 0; i < 40; i += 1) {
        fail(...Array.from({ length: 30 }, (_, id) => BigInt(id)))
        advance(240)
        assert.equal(breaker.state, 'closed')
        answer(BigInt(101 + i))
      }
      assert.deepEqual(breaker.takeQuestions(), [])
    })

    it('asks the last objects that were answered, and any answer ends the doubt', () => {
      const { breaker, fail, answer, advance } = setup()
      answer(7n, 8n, 9n, 10n, 10n)
      advance(10_000)
      fail(...IDS, 4n)
      const questions = breaker.takeQuestions()
      assert.deepEqual(new Set(questions.map(({ id }) => id)), new Set([8n, 9n, 10n]))
      assert.ok(questions.every(({ isProbe }) => !isProbe))
      assert.deepEqual(breaker.takeQuestions(), [])
      breaker.report(questions[0] as Pass, 'answered')
      breaker.report(questions[1] as Pass, 'failed')
      breaker.report(questions[2] as Pass, 'failed')
      advance(1000)
      assert.deepEqual([breaker.state, breaker.wasHostWell(breaker.nowMs)], ['closed', true])
    })

    it('does not ask for an object that fails itself or wants to be left alone', () => {
      const { breaker, fail, answer, pushBack, advance } = setup()
      answer(1n, 8n, 9n)
      advance(250)
      pushBack(5000, 8n)
      advance(250)
      fail(...IDS)
      assert.deepEqual(
        breaker.takeQuestions().map(({ id }) => id),
        [9n],
      )
    })

    it('asks again only after a new pause without answers', () => {
      const { breaker, fail, answer, advance } = setup()
      answer(7n)
      advance(250)
      fail(...IDS)
      for (const question of breaker.takeQuestions()) breaker.report(question, 'answered')
      fail(...IDS)
      advance(249)
      fail(...IDS)
      assert.deepEqual(breaker.takeQuestions(), [])
      advance(1)
      fail(1n)
      assert.equal(breaker.takeQuestions().length, 1)
    })

    it('may still blame the host for a failure until the next answer, and for a Retry-After for a second', () => {
      const { breaker, fail, answer, pushBack, advance } = setup()
      fail(1n)
      assert.equal(breaker.isInDoubt, true)
      answer(2n)
      assert.equal(breaker.isInDoubt, false)
      pushBack(5000, 3n)
      assert.equal(breaker.isInDoubt, true)
      advance(1000)
      assert.equal(breaker.isInDoubt, false)
    })

    it('remembers a thousand failing objects beyond those that raise a doubt, and asks for later ones as usual', () => {
      const { breaker, fail, answer, advance } = setup()
      answer(5000n, 6000n)
      fail(...Array.from({ length: 1002 }, (_, id) => BigInt(id)), 5000n, 6000n)
      advance(250)
      fail(1n)
      assert.deepEqual(
        breaker.takeQuestions().map(({ id }) => id),
        [6000n],
      )
    })

    it('counts the same object only once', () => {
      const { breaker, fail, advance } = setup()
      for (let i = 0; i < 40; i += 1) {
        fail(1n, 2n)
        advance(100)
      }
      assert.equal(breaker.state, 'closed')
    })
  })

  describe('with Retry-After', () => {
    it('leaves only the object alone that asks for it', () => {
      const { breaker, admit, pushBack, advance } = setup()
      pushBack(5000, 1n, 2n)
      assert.deepEqual(breaker.quietOf(1n), { ms: 5000, reason: 'http_429' })
      assert.deepEqual([breaker.quietOf(3n), breaker.waitMs, breaker.wasHostWell(breaker.nowMs)], [undefined, 0, true])
      admit(3n)
      advance(5000)
      assert.equal(breaker.quietOf(1n), undefined)
    })

    it('pauses the host if several objects ask for it, for as long as they say, within a bound', () => {
      for (const [asked, expected] of [
        [2000, 2000],
        [1e9, 60_000],
      ] as const) {
        const { breaker, admit, pushBack, advance } = setup()
        pushBack(asked, ...IDS)
        assert.deepEqual([breaker.waitMs, breaker.wasHostWell(breaker.nowMs), breaker.admit(9n)], [expected, false, undefined])
        assert.equal(breaker.quietOf(1n)?.ms, expected)
        advance(expected)
        admit(9n)
      }
    })

    it('remembers that the host was paused a moment ago', () => {
      const { breaker, pushBack, advance } = setup()
      const failedAtMs = breaker.nowMs
      pushBack(1000, ...IDS)
      advance(1000)
      assert.deepEqual([breaker.waitMs, breaker.wasHostWell(failedAtMs), breaker.wasHostWell(breaker.nowMs)], [0, false, true])
    })

    it('does not pause it when more requests are answered', () => {
      const { breaker, answer, pushBack } = setup()
      answer(11n, 12n, 13n, 14n)
      pushBack(2000, ...IDS)
      assert.equal(breaker.waitMs, 0)
    })

    it('does not pause it for push-backs over more than a second', () => {
      const { breaker, pushBack, advance } = setup()
      for (const id of IDS) {
        pushBack(2000, id)
        advance(600)
      }
      assert.equal(breaker.waitMs, 0)
    })

    it('ends the pause when all witnesses are answered', () => {
      const { state, breaker, answer, pushBack, advance } = setup()
      answer(8n, 9n)
      advance(250)
      pushBack(5000, ...IDS)
      const [first, second] = breaker.takeQuestions()
      assert.ok(first && second)
      breaker.report(first, 'answered')
      assert.equal(breaker.waitMs, 5000)
      breaker.report(second, 'answered')
      assert.deepEqual([breaker.waitMs, breaker.wasHostWell(breaker.nowMs), state.resumed], [0, true, 1])
      assert.equal(breaker.quietOf(1n)?.ms, 5000)
      pushBack(5000, 4n)
      assert.equal(breaker.waitMs, 0)
    })

    it('keeps the pause when witnesses are answered that were asked before it', () => {
      const { breaker, answer, fail, pushBack, advance } = setup()
      answer(8n, 9n)
      advance(250)
      fail(...IDS)
      const before = breaker.takeQuestions()
      pushBack(5000, ...IDS)
      for (const question of before) breaker.report(question, 'answered')
      assert.equal(breaker.waitMs, 5000)
    })

    it('stays closed when all witnesses of a pause fail, because the host answered a moment ago', () => {
      const { breaker, answer, pushBack } = setup()
      answer(8n, 9n)
      pushBack(5000, ...IDS)
      for (const question of breaker.takeQuestions()) breaker.report(question, 'failed')
      assert.equal(breaker.state, 'closed')
    })

    it('keeps the pause when a witness is pushed back too', () => {
      const { breaker, answer, pushBack, advance } = setup()
      answer(8n, 9n)
      advance(250)
      pushBack(5000, ...IDS)
      const [first, second] = breaker.takeQuestions()
      assert.ok(first && second)
      breaker.report(first, 'pushed_back', { ms: 9000, reason: 'http_429' })
      breaker.report(second, 'answered')
      assert.equal(breaker.waitMs, 5000)
    })
  })
})
