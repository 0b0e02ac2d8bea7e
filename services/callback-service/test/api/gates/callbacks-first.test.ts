import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import { callbacksFirst } from '../../../api/gates/callbacks-first.ts'

describe('callbacksFirst', () => {
  let begun: string[]
  let ask: (url: string) => { destroyed: boolean }

  beforeEach(() => {
    const urls: string[] = []
    begun = urls
    const listener = callbacksFirst(request => void urls.push(request.url ?? ''))
    ask = url => {
      const response = { destroyed: false }
      listener({ url } as IncomingMessage, response as ServerResponse)
      return response
    }
  })

  it('begins a callback and a probe at once, although a thousand other requests wait', () => {
    for (let i = 0; i < 1000; i += 1) ask('/v1/agents/self/leases')
    for (const url of ['/callback', '/callback?wait=5', '/livez', '/readyz', '/']) ask(url)
    assert.deepEqual(begun, ['/callback', '/callback?wait=5', '/livez', '/readyz', '/'])
  })

  it('begins four of the others in a turn of the event loop, in the order in which they came', async () => {
    const urls = Array.from({ length: 10 }, (_, i) => `/v1/callbacks/${i}`)
    for (const url of urls) ask(url)
    for (const count of [4, 8, 10]) {
      await turn()
      assert.deepEqual(begun, urls.slice(0, count))
    }
    ask('/callbacks')
    assert.equal(begun.length, 10)
    await turn()
    assert.equal(begun.at(-1), '/callbacks')
  })

  it('begins nothing for a caller that left while it waited', async () => {
    const [gone] = [ask('/gone'), ask('/there')]
    gone.destroyed = true
    await turn()
    assert.deepEqual(begun, ['/there'])
  })
})
