import assert from 'node:assert/strict'
import { UnknownWorkspaces } from '../../../domain/processing/unknown-workspaces.ts'

describe('UnknownWorkspaces', () => {
  let nowMs: number
  let known: Set<string>
  let unknown: UnknownWorkspaces

  beforeEach(() => {
    nowMs = 1000
    known = new Set(['shop'])
    unknown = new UnknownWorkspaces({ isKnown: name => known.has(name), nowMs: () => nowMs })
  })

  it('names a workspace that has been unknown for three seconds, until it is known', () => {
    assert.deepEqual(unknown.observe(['shop', 'gone']), [])
    nowMs += 2999
    assert.deepEqual(unknown.observe(['shop', 'gone']), [])
    nowMs += 1
    assert.deepEqual(unknown.observe(['shop', 'gone', 'new']), ['gone'])
    known.add('gone')
    assert.deepEqual(unknown.observe(['shop', 'gone', 'new']), [])
  })

  it('starts again with a workspace that had nothing due in between', () => {
    unknown.observe(['gone'])
    nowMs += 3000
    unknown.observe([])
    assert.deepEqual(unknown.observe(['gone']), [])
  })
})
