import assert from 'node:assert/strict'
import { Signal } from '../../lifecycle/signal.ts'

describe('Signal', () => {
  it('tells each listener, in their order, each time it is emitted, and nobody before they listen', () => {
    const heard: string[] = []
    const signal = new Signal()
    signal.emit()
    signal.on(() => heard.push('first'))
    signal.on(() => heard.push('second'))
    signal.emit()
    signal.emit()
    assert.deepEqual(heard, ['first', 'second', 'first', 'second'])
  })
})
