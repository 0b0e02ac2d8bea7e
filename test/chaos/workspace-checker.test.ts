import { deepEqual } from 'node:assert/strict'
import { found, ok, row, sent } from './evidence.ts'

describe('the checker of workspaces', () => {
  const accepted = [sent([ok('a')]), sent([ok('b')], { key: 'k2', workspace: 'shop', objectIds: [3] })]
  const kept = [row(), row({ id: 'b', key: 'k2', workspace: 'shop', objectIds: [3] })]
  const stores = new Map([
    ['default 1', [11_000]],
    ['default 2', [11_000]],
    ['shop 3', [11_000]],
  ])

  it('finds nothing if each workspace has its own callbacks and objects', () => {
    deepEqual(found({ sent: accepted, rows: kept, stores }), {})
  })

  it('reports a callback in the workspace of another', () => {
    const rows = [row(), row({ id: 'b', key: 'k2', workspace: 'default', objectIds: [3] })]
    deepEqual(found({ sent: accepted, rows, stores: new Map([...stores, ['default 3', [11_000]]]) })['leaked'], 1)
  })

  it('reports an object that was stored for a workspace that did not name it', () => {
    deepEqual(found({ sent: accepted, rows: kept, stores: new Map([...stores, ['shop 1', [11_000]]]) }), { leaked: 1 })
  })
})
