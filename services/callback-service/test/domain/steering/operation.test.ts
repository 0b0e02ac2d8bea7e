import assert from 'node:assert/strict'
import { etaMs, type Operation } from '../../../domain/steering/operation.ts'
import { changesOfStep, LookSize } from '../../../domain/steering/operation-pace.ts'

const running: Operation = {
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  workspace: 'default',
  change: { kind: 'cancel' },
  filter: { state: undefined, reason: undefined, objectId: undefined, receivedAfter: undefined, receivedBefore: undefined },
  isDryRun: false,
  ratePerSecond: 50,
  state: 'running',
  matched: 120,
  done: 20,
  skipped: 0,
  createdAt: new Date(0),
  finishedAt: null,
}

describe('etaMs', () => {
  it('is the time that the rest takes at the rate', () => {
    assert.equal(etaMs(running), 2000)
  })

  it('is not below 0 if more callbacks matched than it counted', () => {
    assert.equal(etaMs({ ...running, done: 121 }), 0)
  })

  for (const [name, changes] of Object.entries({
    'while it counts': { state: 'counting' },
    'without a rate': { ratePerSecond: null },
    'after its end': { state: 'completed' },
  } as const satisfies Record<string, Partial<Operation>>)) {
    it(`is unknown ${name}`, () => {
      assert.equal(etaMs({ ...running, ...changes }), null)
    })
  }
})

describe('changesOfStep', () => {
  it('is a tenth of what the rate allows in a second, at least one callback and at most 500', () => {
    assert.deepEqual([0.01, 1, 50, 500, 100_000, null].map(changesOfStep), [1, 1, 5, 50, 500, 500])
  })
})

describe('LookSize', () => {
  it('halves with each failure down to 50, and doubles with each success', () => {
    const looks = new LookSize()
    const sizes = [looks.of('running')]
    for (let i = 0; i < 9; i += 1) {
      looks.failed()
      sizes.push(looks.of('running'))
    }
    for (let i = 0; i < 9; i += 1) looks.succeeded()
    assert.deepEqual(sizes, [2000, 1000, 500, 250, 125, 62, 50, 50, 50, 50])
    assert.deepEqual([looks.of('running'), looks.of('counting')], [2000, 10_000])
  })
})
