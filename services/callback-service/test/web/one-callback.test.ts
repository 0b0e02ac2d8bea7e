import assert from 'node:assert/strict'
import { eventually, until } from '../../../../test/support/eventually.ts'
import type { Callback } from '../../web/callbacks.ts'
import { OneCallback } from '../../web/one-callback.ts'
import { callback } from './callback-samples.ts'

const CALLBACK: Callback = { ...callback(1, { state: 'running' }), objects: [{ id: '9007199254740993', outcome: 'pending' }] }
const problem = (status: number, code: string) => Object.assign(new Error(code), { status, code })

describe('OneCallback', () => {
  let one: OneCallback
  let paths: string[]
  let answers: Record<string, unknown>

  function follow(id = CALLBACK.id): void {
    paths = []
    one = new OneCallback(id, 'shop', async <T>(path: string) => {
      paths.push(path)
      const [, kind = 'callback'] = /\/(timeline|fetches)\?/.exec(path) ?? []
      const answer = answers[kind]
      if (answer instanceof Error) throw answer
      return answer as T
    })
    one.start()
  }

  beforeEach(() => {
    answers = { callback: CALLBACK, timeline: { events: [{ event: 'accepted', at: CALLBACK.received_at }] }, fetches: { fetches: [] } }
  })
  afterEach(() => one.stop())

  it('reads the callback, its timeline and its fetches in its workspace', async () => {
    follow()
    await eventually('all have come', () => one.view.value.callback === CALLBACK && one.view.value.fetches !== undefined)
    assert.deepEqual(
      paths,
      ['', '/timeline', '/fetches'].map(part => `v1/callbacks/${CALLBACK.id}${part}?workspace_id=shop`),
    )
  })

  it('does without the fetches where the caller may not see them', async () => {
    answers['fetches'] = problem(404, 'not_found')
    follow()
    await eventually('the rest has come', () => one.view.value.callback === CALLBACK && one.view.value.events.length === 1)
    assert.equal(one.view.value.problem, undefined)
  })

  it('soon reads the end of the timeline that it has missed', async () => {
    follow()
    await eventually('it has come', () => one.view.value.callback === CALLBACK)
    answers['callback'] = { ...CALLBACK, state: 'completed' }
    one.refresh()
    await eventually('it is completed', () => one.view.value.callback?.state === 'completed')
    answers['timeline'] = { events: [{}, {}] }
    await until(() => one.view.value.events.length === 2, 3000)
  })

  it('keeps what it has while the service is away, and says why', async () => {
    follow()
    await eventually('it has come', () => one.view.value.callback !== undefined)
    answers['callback'] = problem(503, 'storage_unavailable')
    one.refresh()
    await eventually('it says so', () => one.view.value.problem === 'storage_unavailable')
    assert.deepEqual([one.view.value.callback, one.view.value.isGone], [CALLBACK, false])
  })

  it('keeps what it has and asks no more once the service has deleted the callback', async () => {
    follow()
    await eventually('it has come', () => one.view.value.callback !== undefined)
    answers['callback'] = problem(404, 'callback_not_found')
    one.refresh()
    await eventually('it is gone', () => one.view.value.isGone)
    const asked = paths.length
    one.refresh()
    assert.deepEqual([one.view.value.callback, paths.length], [CALLBACK, asked])
  })

  it('asks for what the address says, whatever that is', async () => {
    answers['callback'] = problem(400, 'invalid_id')
    follow('../<b>')
    await eventually('it is refused', () => one.view.value.isGone)
    assert.equal(paths[0], 'v1/callbacks/..%2F%3Cb%3E?workspace_id=shop')
  })
})
