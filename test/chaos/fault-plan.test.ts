import assert from 'node:assert/strict'
import { FAULT_KINDS, FAULTS } from './fault-kinds.ts'
import { planFaults, planQuickFaults } from './fault-plan.ts'
import { seededRandom, shuffled } from './random.ts'

describe('the plan of faults', () => {
  const plan = (seed: number) => planFaults({ seed, seconds: 600, replicas: 3 })

  it('is the same for the same seed, and different for another', () => {
    assert.deepEqual(plan(7), plan(7))
    assert.notDeepEqual(plan(7), plan(8))
  })

  it('begins a longer run like a shorter one', () => {
    const short = planFaults({ seed: 7, seconds: 90, replicas: 3 })
    assert.deepEqual(plan(7).slice(0, short.length), short)
  })

  it('has every kind once before a kind comes again, and leaves five seconds at both ends', () => {
    const faults = plan(7)
    const kinds = FAULT_KINDS
    assert.equal(faults.length, 119)
    for (let first = 0; first + kinds.length <= faults.length; first += kinds.length)
      assert.deepEqual(
        faults
          .slice(first, first + kinds.length)
          .map(({ kind }) => kind)
          .toSorted(),
        kinds.toSorted(),
      )
    assert.deepEqual([faults[0]?.atMs, faults.at(-1)?.atMs], [5000, 595_000])
  })

  it('keeps each fault within its bounds, and affects every replica', () => {
    const faults = plan(7)
    for (const { kind, forMs, share } of faults) {
      const [least, most] = FAULTS[kind].ms
      assert.ok(forMs >= least && forMs <= most && forMs < 5000, `${kind} for ${forMs} ms`)
      assert.ok(share > 0 && share <= 1)
    }
    assert.deepEqual(new Set(faults.map(({ replica }) => replica)), new Set([0, 1, 2]))
  })

  it('steps the clock in both directions, and keeps the sum of the steps within its bound', () => {
    const steps = planFaults({ seed: 7, seconds: 50_000, replicas: 3 }).filter(({ kind }) => kind === 'clock steps')
    assert.deepEqual(new Set(steps.map(({ stepMs }) => Math.abs(stepMs))), new Set([2000, 60_000, 3_600_000]))
    let offsetMs = 0
    for (const { stepMs } of steps) {
      offsetMs += stepMs
      assert.ok(Math.abs(offsetMs) <= 3_700_000, `${offsetMs} ms away`)
    }
  })

  it('leaves out kinds that cannot be made on this machine', () => {
    const faults = planFaults({ seed: 7, seconds: 600, replicas: 3, without: ['clock steps'] })
    assert.deepEqual([faults.length, faults.filter(({ kind }) => kind === 'clock steps').length], [119, 0])
  })

  it('makes the given number of quick faults, each at once and short, the same for the same seed', () => {
    const faults = planQuickFaults({ seed: 7, count: 200, replicas: 3 })
    assert.equal(faults.length, 200)
    assert.deepEqual(planQuickFaults({ seed: 7, count: 200, replicas: 3 }), faults)
    assert.deepEqual(new Set(faults.slice(0, FAULT_KINDS.length).map(({ kind }) => kind)), new Set(FAULT_KINDS))
    for (const { kind, atMs, forMs } of faults) {
      const [least, most] = FAULTS[kind].quick
      assert.ok(atMs === 0 && forMs >= least && forMs <= most, `${kind} for ${forMs} ms`)
    }
  })
})

describe('seeded random numbers', () => {
  it('are those of mulberry32', () => {
    const random = seededRandom(1)
    assert.deepEqual([random(), random(), random()], [0.6270739405881613, 0.002735721180215478, 0.5274470399599522])
  })

  it('shuffle without losing anything', () => {
    const items = [1, 2, 3, 4, 5, 6, 7, 8]
    const other = shuffled(seededRandom(1), items)
    assert.notDeepEqual(other, items)
    assert.deepEqual(other.toSorted(), items)
  })
})
