import assert from 'node:assert/strict'
import { Signal } from '../../lifecycle/signal.ts'

describe('Signal', () => {
  it('calls all listeners in order, each time it is emitted, and none before it listens', () => {
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
