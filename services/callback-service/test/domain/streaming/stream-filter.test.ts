import assert from 'node:assert/strict'
import { CALLBACK_STATES, type CallbackState, TRANSITIONS } from '../../../domain/callback.ts'
import { concerns, isSelected } from '../../../domain/streaming/stream-filter.ts'
import { changed } from './changed.ts'

const ALL = { states: undefined, objectId: undefined }

describe('the filter of a stream', () => {
  it('lets everything pass if it names nothing', () => {
    for (const state of CALLBACK_STATES) assert.ok(isSelected(ALL, changed({ state })) && concerns(ALL, changed({ state })))
  })

  it('selects callbacks in one of its states that name its object', () => {
    const filter = { states: ['failed', 'cancelled'] as const, objectId: 7n }
    assert.ok(isSelected(filter, changed({ state: 'failed', watched: [7n] })))
    assert.ok(!isSelected(filter, changed({ state: 'failed', watched: [8n] })))
    assert.ok(!isSelected(filter, changed({ state: 'completed', watched: [7n] })))
  })

  it('lets no callback of another object pass, whatever it was before', () => {
    assert.ok(!concerns({ states: ['failed'], objectId: 7n }, changed({ wasRetried: true, watched: [8n] })))
  })

  it('lets new callbacks not pass if it asks for finished ones', () => {
    for (const state of ['pending', 'running'] as const) assert.ok(!concerns({ ...ALL, states: ['failed'] }, changed({ state })))
    assert.ok(!concerns({ ...ALL, states: ['failed'] }, changed({ state: 'completed' })))
    assert.ok(!concerns({ ...ALL, states: ['paused'] }, changed({ state: 'completed' })))
  })

  it('lets every callback pass that has left one of its states, by any way through the state table', () => {
    const walk = (path: readonly CallbackState[]): void => {
      const state = path.at(-1) as CallbackState
      // What the statements write: a retry sets retried_at, and each pause sets steered_at.
      const wasRetried = path.some(
        (each, i) => i > 0 && each === 'pending' && ['completed', 'failed', 'cancelled'].includes(path[i - 1] as string),
      )
      const callback = changed({ state, wasRetried, wasSteered: wasRetried || path.includes('paused') })
      for (const left of path) assert.ok(concerns({ ...ALL, states: [left] }, callback), `${left} of ${path.join(' > ')}`)
      if (path.length < 6) for (const next of TRANSITIONS[state]) walk([...path, next])
    }
    walk(['pending'])
  })
})
