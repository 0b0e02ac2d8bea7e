import assert from 'node:assert/strict'
import { CALLBACK_STATES } from '../../web/callbacks.ts'
import { canDo, refusalText, requestOf } from '../../web/steering.ts'

const KINDS = ['retry', 'cancel', 'pause', 'resume', 'prioritise'] as const
const possible = (state: (typeof CALLBACK_STATES)[number], activated: boolean) => KINDS.filter(kind => canDo(kind, { state, activated }))

describe('canDo', () => {
  it('allows what the state allows', () => {
    assert.deepEqual(possible('pending', true), ['cancel', 'pause', 'prioritise'])
    assert.deepEqual(possible('running', true), ['cancel', 'pause', 'prioritise'])
    assert.deepEqual(possible('running', false), ['cancel', 'resume', 'prioritise'])
    assert.deepEqual(possible('paused', false), ['cancel', 'resume', 'prioritise'])
    for (const state of ['completed', 'failed', 'cancelled'] as const) assert.deepEqual(possible(state, true), ['retry'])
  })

  it('allows something in every state', () => {
    for (const state of CALLBACK_STATES) assert.notDeepEqual(possible(state, true), [])
  })
})

describe('requestOf', () => {
  it('names the workspace in every request', () => {
    const actions = [{ kind: 'retry', objects: 'all' }, { kind: 'cancel' }, { kind: 'pause' }, { kind: 'resume' }] as const
    for (const action of actions) assert.match(requestOf(action, 'id', 'shop').path, /^v1\/callbacks\/id.*[?&]workspace_id=shop$/)
  })

  it('waits for the worker of a running callback before it cancels', () => {
    assert.equal(requestOf({ kind: 'cancel' }, 'id', 'default').path, 'v1/callbacks/id?wait=10&workspace_id=default')
  })
})

describe('refusalText', () => {
  it('says that somebody else was faster', () => {
    const text = refusalText({ status: 409, code: 'callback_finished', message: 'The callback is completed.' })
    assert.equal(text, 'Nothing was changed, because the callback has changed meanwhile. The callback is completed. (callback_finished)')
  })

  it('does not claim that nothing was changed if no answer came', () => {
    assert.doesNotMatch(refusalText({ message: 'The service does not answer.' }), /Nothing was changed/)
  })

  it('says when the role of the key is too low', () => {
    assert.match(refusalText({ status: 404, code: 'not_found', message: 'x' }), /your key may not/)
  })
})
