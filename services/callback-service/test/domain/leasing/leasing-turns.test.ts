import assert from 'node:assert/strict'
import { LeasingTurns, type Looked } from '../../../domain/leasing/leasing-turns.ts'

const AT = { priority: 0, dueAt: '2026-01-01', id: 'x' }
const NOTHING: Looked = { mayHaveMore: false, next: undefined, hasBroughtLeases: false, tookMs: 2, nowMs: 0 }
const NOW = { nowMs: 0, max: 4 }

describe('LeasingTurns', () => {
  let turns: LeasingTurns

  beforeEach(() => {
    turns = new LeasingTurns()
  })

  /** @returns the workspaces of the next looks */
  const take = (waiting: readonly string[], { nowMs = 0, max = 4 } = {}) => turns.take(waiting, { nowMs, max })

  it('looks at nothing until a callback arrives, and then once', () => {
    assert.deepEqual(take(['plant']), [])
    assert.equal(turns.nextLookMs(['plant']), Number.POSITIVE_INFINITY)
    turns.arrived('plant')
    const [look] = take(['plant'])
    assert.deepEqual(look, { workspace: 'plant', from: undefined })
    turns.looked(look ?? assert.fail(), NOTHING)
    assert.deepEqual(take(['plant'], { nowMs: 5000 }), [])
  })

  it('looks only where polls wait, and remembers what arrived elsewhere', () => {
    turns.arrived('plant')
    assert.deepEqual(take(['lab']), [])
    assert.equal(take(['plant']).length, 1)
  })

  it('looks again for a callback that arrived during the look', () => {
    turns.arrived('plant')
    const [look] = take(['plant'])
    turns.arrived('plant')
    turns.looked(look ?? assert.fail(), { ...NOTHING, tookMs: 0 })
    assert.equal(take(['plant']).length, 1)
  })

  it('looks again at once after leases were given, and after a rest of twenty times the look otherwise', () => {
    turns.arrived('plant')
    const look = take(['plant'])[0] ?? assert.fail()
    turns.looked(look, { ...NOTHING, mayHaveMore: true, hasBroughtLeases: true })
    assert.equal(turns.nextLookMs(['plant']), 0)
    take(['plant'])
    turns.looked(look, { ...NOTHING, mayHaveMore: true })
    assert.equal(turns.nextLookMs(['plant']), 40)
    assert.deepEqual(take(['plant'], { nowMs: 39 }), [])
    assert.equal(take(['plant'], { nowMs: 40 }).length, 1)
  })

  it('rests for a second at most', () => {
    turns.arrived('plant')
    const look = take(['plant'])[0] ?? assert.fail()
    turns.looked(look, { ...NOTHING, mayHaveMore: true, tookMs: 5000 })
    assert.equal(turns.nextLookMs(['plant']), 1000)
  })

  it('walks on through the backlog, in turn with looks at what is most urgent', () => {
    turns.arrived('plant')
    const head = take(['plant'])[0] ?? assert.fail()
    turns.looked(head, { ...NOTHING, next: AT, mayHaveMore: true })
    const step = take(['plant'], { nowMs: 40 })[0] ?? assert.fail()
    assert.deepEqual(step, { workspace: 'plant', from: AT })
    const further = { ...AT, id: 'y' }
    turns.looked(step, { ...NOTHING, next: further, nowMs: 42 })
    assert.equal(take(['plant'], { nowMs: 100 })[0]?.from, undefined)
    turns.looked(head, { ...NOTHING, next: AT, nowMs: 102 })
    assert.deepEqual(take(['plant'], { nowMs: 200 })[0]?.from, further)
  })

  it('ends a walk that has seen all', () => {
    turns.arrived('plant')
    turns.looked(take(['plant'])[0] ?? assert.fail(), { ...NOTHING, next: AT })
    turns.looked(take(['plant'], { nowMs: 40 })[0] ?? assert.fail(), { ...NOTHING, nowMs: 42 })
    assert.deepEqual(take(['plant'], { nowMs: 5000 }), [])
  })

  it('takes those first that have waited longest', () => {
    for (const workspace of ['a', 'b', 'c']) turns.arrived(workspace)
    const [look] = turns.take(['a'], NOW)
    turns.looked(look ?? assert.fail(), { ...NOTHING, mayHaveMore: true })
    const looks = take(['a', 'b', 'c'], { nowMs: 100, max: 2 })
    assert.deepEqual(
      looks.map(({ workspace }) => workspace),
      ['b', 'c'],
    )
  })
})
