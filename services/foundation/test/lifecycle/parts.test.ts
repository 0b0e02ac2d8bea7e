import assert from 'node:assert/strict'
import { Lifecycle, type Part } from '../../lifecycle/parts.ts'

/** Makes a lifecycle of three parts that record their starts and stops. */
function setup(overrides: Readonly<Record<string, Partial<Part>>> = {}) {
  const events: string[] = []
  const part = (name: string): Part => ({
    name,
    start: async () => {
      await overrides[name]?.start?.()
      events.push(`start ${name}`)
    },
    stop: async () => {
      await overrides[name]?.stop?.()
      events.push(`stop ${name}`)
    },
  })
  const lifecycle = new Lifecycle(
    ['a', 'b', 'c'].map(part),
    (name, error) => events.push(`${name} did not stop: ${error}`),
    (name, error) => events.push(`${name} did not start: ${error}`),
  )
  return { lifecycle, events }
}

const fail = (words: string) => (): never => {
  throw new Error(words)
}

describe('Lifecycle', () => {
  it('starts in order and stops in reverse', async () => {
    const { lifecycle, events } = setup()
    await lifecycle.start()
    await lifecycle.stop()
    assert.deepEqual(events, ['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a'])
  })

  it('skips parts without start or stop', async () => {
    const lifecycle = new Lifecycle([{ name: 'a' }], () => assert.fail('no error'))
    await lifecycle.start()
    await lifecycle.stop()
  })

  it('starts a part only when the one before it has started', async () => {
    const started = Promise.withResolvers<void>()
    const { lifecycle, events } = setup({ a: { start: () => started.promise } })
    const start = lifecycle.start()
    await new Promise(setImmediate)
    assert.deepEqual(events, [])
    started.resolve()
    await start
    assert.deepEqual(events, ['start a', 'start b', 'start c'])
  })

  it('stops the started parts if a part does not start, and throws the error', async () => {
    const { lifecycle, events } = setup({ c: { start: fail('no port') } })
    await assert.rejects(lifecycle.start(), /^Error: no port$/)
    assert.deepEqual(events, ['start a', 'start b', 'c did not start: Error: no port', 'stop c', 'stop b', 'stop a'])
  })

  it('throws the error of the part that did not start, and reports a failed stop once, under its own name', async () => {
    const { lifecycle, events } = setup({ b: { start: fail('no port') }, a: { stop: fail('stuck') } })
    await assert.rejects(lifecycle.start(), /no port/)
    assert.deepEqual(
      events.filter(event => event.includes('did not stop')),
      ['a did not stop: Error: stuck'],
    )
    assert.equal(events.includes('start c'), false)
  })

  it('stops the rest after an error, reports every error and throws the first', async () => {
    const { lifecycle, events } = setup({ a: { stop: fail('last') }, c: { stop: fail('first') } })
    await lifecycle.start()
    await assert.rejects(lifecycle.stop(), /first/)
    assert.deepEqual(events.slice(3), ['c did not stop: Error: first', 'stop b', 'a did not stop: Error: last'])
  })

  it('starts once and stops once, however often it is asked', async () => {
    const { lifecycle, events } = setup()
    await Promise.all([lifecycle.start(), lifecycle.start()])
    await lifecycle.start()
    await Promise.all([lifecycle.stop(), lifecycle.stop()])
    await lifecycle.stop()
    assert.equal(events.length, 6)
  })

  it('stops parts that were never started, and starts nothing after that', async () => {
    const { lifecycle, events } = setup()
    await lifecycle.stop()
    await lifecycle.start()
    assert.deepEqual(events, ['stop c', 'stop b', 'stop a'])
  })

  it('starts no further part when it is stopped during the start', async () => {
    const started = Promise.withResolvers<void>()
    const { lifecycle, events } = setup({ a: { start: () => started.promise } })
    const start = lifecycle.start()
    const stop = lifecycle.stop()
    started.resolve()
    await Promise.all([start, stop])
    assert.deepEqual(
      events.filter(event => event.startsWith('start')),
      ['start a'],
    )
  })

  it('names the parts that are still stopping', async () => {
    const stopped = Promise.withResolvers<void>()
    const { lifecycle } = setup({ b: { stop: () => stopped.promise } })
    await lifecycle.start()
    const stop = lifecycle.stop()
    await new Promise(setImmediate)
    assert.deepEqual(lifecycle.stillStopping, ['b'])
    stopped.resolve()
    await stop
    assert.deepEqual(lifecycle.stillStopping, [])
  })
})
