import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { pino } from 'pino'
import { until } from '../../../../test/support/eventually.ts'
import { Loop, type LoopOptions } from '../../lifecycle/loop.ts'

class Outage extends Error {
  readonly code = 'OUTAGE'
}

describe('Loop', () => {
  let loop: Loop
  let logged: { level: number; msg: string; [field: string]: unknown }[]
  /** The times when the passes began. */
  let passes: number[]

  function setup(pass: LoopOptions['pass'], options: Partial<LoopOptions> = {}): void {
    passes = []
    logged = []
    loop = new Loop({
      name: 'test',
      logger: pino({ level: 'debug', base: null }, { write: line => logged.push(JSON.parse(line)) }),
      retryMs: 1,
      pass: signal => {
        passes.push(performance.now())
        return pass(signal)
      },
      ...options,
    })
  }

  /** Makes a pass that fails with these errors one after the other, and then rests forever. */
  function failing(...errors: Error[]): LoopOptions['pass'] {
    return async () => {
      const error = errors.shift()
      if (error) throw error
      return Number.POSITIVE_INFINITY
    }
  }

  const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

  afterEach(() => loop.stop())

  it('rests as long as the pass says', async () => {
    setup(async () => 30)
    loop.start()
    await until(() => passes.length === 3)
    for (const i of [0, 1]) assert.ok((passes[i + 1] ?? 0) - (passes[i] ?? 0) >= 29)
  })

  it('goes on at once when the pass says 0', async () => {
    setup(async () => (passes.length < 100 ? 0 : Number.POSITIVE_INFINITY))
    loop.start()
    await turn()
    assert.equal(passes.length, 100)
  })

  it('ends a rest when it is woken', async () => {
    setup(async () => Number.POSITIVE_INFINITY)
    loop.start()
    await turn()
    assert.equal(passes.length, 1)
    loop.wake()
    await turn()
    assert.equal(passes.length, 2)
  })

  it('does not rest after a pass during which it was woken', async () => {
    const ends: ((restMs: number) => void)[] = []
    setup(() => new Promise(resolve => ends.push(resolve)))
    loop.start()
    loop.wake()
    loop.wake()
    ends[0]?.(Number.POSITIVE_INFINITY)
    await turn()
    assert.equal(passes.length, 2, 'one pass more, not two')
    ends[1]?.(Number.POSITIVE_INFINITY)
    await turn()
    assert.equal(passes.length, 2)
  })

  it('runs one pass at a time, also when it is started twice', async () => {
    setup(() => new Promise(resolve => setImmediate(resolve, Number.POSITIVE_INFINITY)))
    loop.start()
    loop.start()
    await turn()
    assert.equal(passes.length, 1)
  })

  describe('when a pass fails', () => {
    it('tries again after a rest that doubles up to its bound', async () => {
      mock.timers.enable({ apis: ['setTimeout'] })
      try {
        setup(failing(...Array.from({ length: 4 }, () => new Outage())), { retryMs: 10, maxRetryMs: 30 })
        const passesAfter = async (ms: number): Promise<number> => {
          mock.timers.tick(ms)
          await turn()
          return passes.length
        }
        loop.start()
        for (const [i, restMs] of [10, 20, 30, 30].entries()) {
          assert.deepEqual([await passesAfter(0), await passesAfter(restMs - 1), await passesAfter(1)], [i + 1, i + 1, i + 2])
        }
      } finally {
        mock.timers.reset()
      }
    })

    it('logs one line when a streak begins and one when it ends', async () => {
      setup(failing(new Outage('away'), new Outage('away'), new Outage('away')))
      loop.start()
      await until(() => passes.length === 4 && logged.length >= 2)
      assert.deepEqual(
        logged.map(({ time: _, ...line }) => line),
        [
          { level: 40, duty: 'test', reason: 'away', code: 'OUTAGE', msg: 'background duty failed, retrying' },
          { level: 30, duty: 'test', failures: 3, msg: 'background duty recovered' },
        ],
      )
    })

    it('logs the stack of an unexpected error', async () => {
      setup(failing(new TypeError('bug')))
      loop.start()
      await until(() => logged.length >= 1)
      assert.match(JSON.stringify(logged[0]?.['err']), /"stack":"TypeError: bug\\n {4}at /)
    })

    it('begins a new streak after a pass that did not fail', async () => {
      const errors = [new Outage(), undefined, new Outage(), undefined]
      setup(async () => {
        if (errors.length === 0) return Number.POSITIVE_INFINITY
        const error = errors.shift()
        if (error) throw error
        return 0
      })
      loop.start()
      await until(() => logged.length >= 4)
      assert.deepEqual(
        logged.map(line => line['failures']),
        [undefined, 1, undefined, 1],
      )
    })

    it('logs both lines at debug if another duty reports the error', async () => {
      setup(failing(new Outage(), new Outage()), { isReportedElsewhere: error => error instanceof Outage })
      loop.start()
      await until(() => logged.length >= 2)
      assert.deepEqual(
        logged.map(line => line.level),
        [20, 20],
      )
    })

    it('logs a bug as a warning, even in a streak that began with an error reported elsewhere', async () => {
      setup(failing(new Outage(), new TypeError('bug'), new TypeError('bug'), new Outage()), {
        isReportedElsewhere: error => error instanceof Outage,
      })
      loop.start()
      await until(() => logged.length >= 3)
      assert.deepEqual(
        logged.map(line => line.level),
        [20, 40, 30],
      )
    })
  })

  describe('stop', () => {
    it('aborts the signal of the pass under way and waits for its end', async () => {
      const ended = Promise.withResolvers<number>()
      let isAborted = false
      setup(signal => {
        signal.addEventListener('abort', () => {
          isAborted = true
        })
        return ended.promise
      })
      loop.start()
      let isStopped = false
      const stop = loop.stop().then(() => {
        isStopped = true
      })
      await turn()
      assert.deepEqual({ isAborted, isStopped }, { isAborted: true, isStopped: false })
      ended.resolve(0)
      await stop
      assert.equal(passes.length, 1)
    })

    it('ends a rest', async () => {
      setup(async () => Number.POSITIVE_INFINITY)
      loop.start()
      await turn()
      await loop.stop()
      assert.equal(passes.length, 1)
    })

    it('does not log an error of the pass that it interrupts', async () => {
      setup(signal => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Outage()))))
      loop.start()
      await loop.stop()
      assert.deepEqual(logged, [])
    })

    it('can be called twice, and before a start', async () => {
      setup(async () => Number.POSITIVE_INFINITY)
      await loop.stop()
      loop.start()
      await loop.stop()
      assert.equal(passes.length, 0)
    })
  })
})
