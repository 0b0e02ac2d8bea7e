import assert from 'node:assert/strict'
import { bodyOf, type Operation, type OperationForm, operationText, progressText } from '../../web/operations.ts'

const FORM: OperationForm = {
  kind: 'retry',
  state: 'failed',
  reason: '',
  objectId: '',
  receivedAfter: '',
  receivedBefore: '',
  objects: 'missing',
  rate: '',
  priority: '',
}
const OPERATION: Operation = {
  id: 'x',
  change: { kind: 'retry', objects: 'missing', priority: -10 },
  filter: { state: 'failed', reason: 'http_500' },
  state: 'running',
  dry_run: false,
  matched: 1234,
  done: 200,
  skipped: 0,
  rate_per_second: 50,
  eta_ms: 20_680,
  created_at: '2026-11-22T02:55:15.725Z',
}

describe('bodyOf', () => {
  it('leaves out what the form leaves open', () => {
    assert.deepEqual(bodyOf(FORM, true), { kind: 'retry', filter: { state: 'failed' }, dry_run: true, objects: 'missing' })
  })

  it('keeps the id of an object exact', () => {
    const body = bodyOf({ ...FORM, objectId: '9007199254740993' }, false) as { filter: { object_id: unknown } }
    assert.equal(body.filter.object_id, '9007199254740993')
  })

  it('sends priority and objects only where the service takes them', () => {
    assert.deepEqual(bodyOf({ ...FORM, kind: 'pause', state: '', priority: '5' }, false), { kind: 'pause', filter: {}, dry_run: false })
    assert.deepEqual(bodyOf({ ...FORM, kind: 'prioritise', state: '', priority: '5', rate: '2.5' }, false), {
      kind: 'prioritise',
      filter: {},
      dry_run: false,
      rate_per_second: 2.5,
      priority: 5,
    })
  })

  it('says what is wrong with a field', () => {
    assert.throws(() => bodyOf({ ...FORM, objectId: '1.5' }, true), /not a 64-bit integer/)
    assert.throws(() => bodyOf({ ...FORM, kind: 'prioritise' }, true), /which priority/)
  })
})

describe('texts of operations', () => {
  it('say what it changes before it starts', () => {
    assert.equal(operationText(OPERATION), 'Retry failed callbacks with reason http_500: missing objects, priority -10, 50 a second')
    assert.equal(
      operationText({ change: { kind: 'pause' }, filter: {}, rate_per_second: null }),
      'Pause pending or running callbacks: as fast as it can',
    )
  })

  it('say how far it is', () => {
    assert.equal(progressText(OPERATION), '200 of 1,234 changed, 20.7 s to go at the longest')
    assert.equal(progressText({ ...OPERATION, state: 'counting' }), 'Counting: 1,234 match so far')
    assert.equal(progressText({ ...OPERATION, state: 'completed', dry_run: true, matched: 1 }), 'Only counted: 1 matches')
    assert.equal(progressText({ ...OPERATION, state: 'completed', done: 1230, skipped: 4 }), '1,230 of 1,234 changed, 4 no longer matched')
    assert.equal(progressText({ ...OPERATION, state: 'aborted' }), 'Aborted: 200 of 1,234 changed')
  })
})
