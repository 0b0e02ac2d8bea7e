import assert from 'node:assert/strict'
import { LimitUsages } from '../../../api/gates/limit-usages.ts'
import { BUILT_IN_DEFAULT } from '../../../domain/workspaces/default-workspace.ts'
import { type Limits, NO_LIMITS } from '../../../domain/workspaces/workspace.ts'
import { serveApi } from '../serve-api.ts'
import { DirectoryInMemory } from './directory-in-memory.ts'

const shop = (limits: Partial<Limits>) => ({ ...BUILT_IN_DEFAULT, name: 'shop', limits: { ...NO_LIMITS, ...limits } })
const AT = { nowMs: 5000, replicas: 1, unfinished: 0 }

describe('how near a workspace is to its limits', () => {
  it('has one line for each limit that it has', () => {
    const usages = new LimitUsages()
    assert.deepEqual(usages.usesOf(shop({ bodyBytes: 9, objectIds: 9, burst: 9 }), AT), [])
    assert.deepEqual(
      usages.usesOf(shop({ requestsPerSecond: 5, activeRequests: 5, unfinishedCallbacks: 5 }), AT).map(({ name }) => name),
      ['requests_per_second', 'active_requests', 'unfinished_callbacks'],
    )
  })

  it('compares the requests of this replica with its share', () => {
    const usages = new LimitUsages()
    const usage = usages.of('shop')
    usage.active = 2
    for (let n = 0; n < 50; n += 1) usage.recent.count(5000)
    assert.deepEqual(usages.usesOf(shop({ requestsPerSecond: 10, activeRequests: 10 }), { ...AT, replicas: 4 }), [
      { name: 'requests_per_second', limit: 10, allowed: 2.5, used: 5 },
      { name: 'active_requests', limit: 10, allowed: 2, used: 2 },
    ])
  })

  it('compares the unfinished callbacks of all replicas with the limit, and says if nobody has counted them', () => {
    const usages = new LimitUsages()
    const uses = (unfinished: number | null) => usages.usesOf(shop({ unfinishedCallbacks: 10 }), { ...AT, replicas: 4, unfinished })
    assert.deepEqual(uses(7), [{ name: 'unfinished_callbacks', limit: 10, allowed: 10, used: 7 }])
    assert.equal(uses(null)[0]?.used, null)
  })

  it('counts the requests that the gate lets through, not those that it refuses', async () => {
    const usages = new LimitUsages()
    const directory = new DirectoryInMemory()
    directory.addWorkspace('shop', { limits: { requestsPerSecond: 2 } })
    const api = await serveApi({ directory, limits: { usages, nowMs: () => 5000 } })
    const statuses: number[] = []
    for (let n = 0; n < 3; n += 1) statuses.push((await fetch(`${api.url}/v1/objects?workspace_id=shop`)).status)
    await api.stop()
    assert.deepEqual([statuses, usages.usesOf(shop({ requestsPerSecond: 2 }), AT)[0]?.used], [[200, 200, 429], 0.2])
  })
})
