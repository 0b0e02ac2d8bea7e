import assert from 'node:assert/strict'
import { FailedTries } from '../../../domain/workspaces/failed-tries.ts'

describe('FailedTries', () => {
  let now: number
  let tries: FailedTries

  beforeEach(() => {
    now = 5000
    tries = new FailedTries({ max: 3, nowMs: () => now })
  })

  const begin = (address: string, times: number): number[] => Array.from({ length: times }, () => tries.begin(address))

  it('allows as many as may, and then says how long to wait', () => {
    assert.deepEqual(begin('10.0.0.1', 4), [0, 0, 0, 60_000])
    now += 59_999
    assert.equal(tries.begin('10.0.0.1'), 1)
  })

  it('slides: each try is forgotten a minute after it, not all at once', () => {
    tries.begin('10.0.0.1')
    now += 30_000
    begin('10.0.0.1', 2)
    now += 30_000
    assert.deepEqual(begin('10.0.0.1', 2), [0, 30_000])
  })

  it('keeps addresses apart', () => {
    begin('10.0.0.1', 4)
    assert.equal(tries.begin('10.0.0.2'), 0)
  })

  for (const [one, other, isSame] of [
    ['2001:db8::1', '2001:db8:0:0:ffff::2', true],
    ['2001:db8:0:1::1', '2001:db8:0:1:2:3:4:5', true],
    ['fe80::1%eth0', 'fe80::2%eth0', true],
    ['::1', '::2', true],
    ['2001:db8::1', '2001:db8:0:1::1', false],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.2', false],
  ] as const) {
    it(`counts ${one} and ${other} ${isSame ? 'as one network' : 'apart'}`, () => {
      begin(one, 3)
      assert.equal(tries.begin(other) > 0, isSame)
    })
  }

  it('gives back a try that was no failure', () => {
    begin('10.0.0.1', 3)
    tries.forgive('10.0.0.1')
    assert.deepEqual(begin('10.0.0.1', 2), [0, 60_000])
  })

  it('remembers 10,000 networks, and forgets the one that was quiet for longest', () => {
    begin('10.0.0.1', 2)
    begin('10.0.0.2', 3)
    tries.begin('10.0.0.1')
    for (let i = 0; i < 9999; i += 1) tries.begin(`host-${i}`)
    assert.deepEqual([tries.begin('10.0.0.1') > 0, tries.begin('10.0.0.2')], [true, 0])
  })
})
