import assert from 'node:assert/strict'
import { chooseFault, type FaultShares } from '../../domain/fault.ts'

const NONE: FaultShares = {
  errorShare: 0,
  tooManyRequestsShare: 0,
  notFoundShare: 0,
  hangShare: 0,
  dripShare: 0,
  garbageShare: 0,
  wrongIdShare: 0,
  resetShare: 0,
  down: false,
  objectIds: '',
}
const ALMOST_ONE = 1 - Number.EPSILON

describe('chooseFault', () => {
  it('chooses none if no share is set', () => {
    assert.equal(chooseFault(NONE, 1n, 0), undefined)
    assert.equal(chooseFault(NONE, 1n, ALMOST_ONE), undefined)
  })

  it('gives each fault its share, and good answers the rest', () => {
    const shares = { ...NONE, errorShare: 0.25, hangShare: 0.5 }
    assert.equal(chooseFault(shares, 1n, 0), 'error')
    assert.equal(chooseFault(shares, 1n, 0.24), 'error')
    assert.equal(chooseFault(shares, 1n, 0.25), 'hang')
    assert.equal(chooseFault(shares, 1n, 0.74), 'hang')
    assert.equal(chooseFault(shares, 1n, 0.75), undefined)
  })

  it('always chooses a fault whose share is 1', () => {
    for (const random of [0, 0.5, ALMOST_ONE]) assert.equal(chooseFault({ ...NONE, resetShare: 1 }, 1n, random), 'reset')
  })

  it('resets every request while the service is down', () => {
    assert.equal(chooseFault({ ...NONE, garbageShare: 1, down: true }, 1n, 0.5), 'reset')
  })

  it('spares the objects that are not listed', () => {
    const shares = { ...NONE, errorShare: 1, objectIds: '-3,7,100..102' }
    const failing = [-3n, 3n, 6n, 7n, 8n, 99n, 100n, 102n, 103n].filter(id => chooseFault(shares, id, 0.5) === 'error')
    assert.deepEqual(failing, [-3n, 7n, 100n, 102n])
  })

  it('spares no object while the service is down', () => {
    assert.equal(chooseFault({ ...NONE, down: true, objectIds: '7' }, 8n, 0.5), 'reset')
  })
})
