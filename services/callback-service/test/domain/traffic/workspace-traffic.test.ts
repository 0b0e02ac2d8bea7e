import assert from 'node:assert/strict'
import { inOrder, TRAFFIC_ORDERS, type WorkspaceTraffic } from '../../../domain/traffic/workspace-traffic.ts'
import { BUILT_IN_DEFAULT } from '../../../domain/workspaces/default-workspace.ts'

function traffic(name: string, changes: Partial<WorkspaceTraffic> = {}): WorkspaceTraffic {
  return {
    workspace: { ...BUILT_IN_DEFAULT, name },
    received: [],
    failed: [],
    lastReceipt: { precision: 'unknown', atMs: null, usualGapMs: null },
    isSilent: false,
    unfinished: 0,
    paused: 0,
    limits: [],
    ...changes,
  }
}

const heard = (atMs: number) => ({ lastReceipt: { precision: 'exact', atMs, usualGapMs: null } as const })
const limit = (used: number | null, allowed: number) => ({ limits: [{ name: 'active_requests', limit: 9, allowed, used } as const] })

describe('workspaces', () => {
  for (const [order, workspaces, expected] of [
    ['name', [traffic('b'), traffic('a'), traffic('B')], ['B', 'a', 'b']],
    [
      'traffic',
      [traffic('a', { received: [5, null] }), traffic('c', { received: [3, 3] }), traffic('b', { received: [6] })],
      ['b', 'c', 'a'],
    ],
    ['failures', [traffic('a', { received: [9] }), traffic('b', { failed: [1] })], ['b', 'a']],
    [
      'silence',
      [traffic('never'), traffic('now', heard(9)), traffic('long ago', heard(1)), traffic('silent', { ...heard(5), isSilent: true })],
      ['silent', 'long ago', 'now', 'never'],
    ],
    [
      'limits',
      [traffic('none'), traffic('near', limit(9, 10)), traffic('unknown', limit(null, 1)), traffic('far', limit(50, 100))],
      ['near', 'far', 'unknown', 'none'],
    ],
  ] as const) {
    it(`are in order by ${order}, the most first, then by name`, () => {
      assert.deepEqual(
        inOrder(workspaces, order).map(({ workspace }) => workspace.name),
        expected,
      )
    })
  }

  it('can be put in every order', () => {
    for (const order of TRAFFIC_ORDERS) assert.equal(inOrder([traffic('a'), traffic('b')], order).length, 2)
  })
})
