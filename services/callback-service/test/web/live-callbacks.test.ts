import assert from 'node:assert/strict'
import { eventually } from '../../../../test/support/eventually.ts'
import type { CallbackFilter } from '../../web/callback-filter.ts'
import type { CallbackPage } from '../../web/callbacks.ts'
import { LiveCallbacks } from '../../web/live-callbacks.ts'
import type { StreamListener } from '../../web/stream.ts'
import { callback, numbersOf } from './callback-samples.ts'

const ALL: CallbackFilter = { workspace: 'shop', states: [], objectId: '' }

describe('LiveCallbacks', () => {
  let live: LiveCallbacks
  let stream: StreamListener
  let isListening: boolean
  let listened: unknown[]
  let paths: string[]
  let answers: (CallbackPage | Error | Promise<CallbackPage>)[]

  function start(filter: CallbackFilter, first: (CallbackPage | Error | Promise<CallbackPage>)[]): void {
    answers = first
    paths = []
    live = new LiveCallbacks(filter, {
      read: async path => {
        paths.push(path)
        const answer = answers.shift()
        if (!answer || answer instanceof Error) throw answer ?? new Error('nobody expected this request')
        return answer
      },
      listen: (workspace, listener, query) => {
        listened = [workspace, query]
        stream = listener
        isListening = true
        return () => {
          isListening = false
        }
      },
    })
    live.start()
  }

  afterEach(() => live.stop())

  const shown = () => numbersOf(live.view.value.rows)
  const isLoaded = () => live.view.value.list === 'loaded'

  it('shows the newest of the list and what the stream brings', async () => {
    start(ALL, [{ items: [callback(2), callback(1)] }])
    stream.onCallbacks([callback(3)])
    await eventually('all three are shown', () => isLoaded() && shown().join() === '3,2,1')
    assert.deepEqual(paths, ['v1/callbacks?limit=50&workspace_id=shop'])
  })

  it('does not go back to the answer of a change when the stream was faster', async () => {
    start(ALL, [{ items: [callback(1, { state: 'failed' })] }])
    await eventually('the list has come', isLoaded)
    const retried = Promise.withResolvers<ReturnType<typeof callback>>()
    const taken = live.takeAnswer(retried.promise)
    stream.onCallbacks([callback(1, { state: 'completed', attempts: 1 })])
    retried.resolve(callback(1, { state: 'pending' }))
    await taken
    live.setHeld(false)
    assert.equal(live.view.value.rows[0]?.state, 'completed')
  })

  it('asks the list and the stream for the same callbacks', async () => {
    start({ workspace: 'shop', states: ['paused', 'failed'], objectId: '9007199254740993' }, [{ items: [] }, { items: [] }])
    await eventually('the lists have come', isLoaded)
    assert.deepEqual(listened, ['shop', { state: 'paused,failed', object_id: '9007199254740993' }])
    assert.deepEqual(
      paths.map(path => new URLSearchParams(path.split('?')[1]).get('state')),
      ['paused', 'failed'],
    )
    assert.ok(paths.every(path => path.includes('object_id=9007199254740993')))
  })

  it('renders at most four times a second, whatever comes', async () => {
    start(ALL, [{ items: [] }])
    await eventually('the list has come', isLoaded)
    let renderings = 0
    live.view.subscribe(() => {
      renderings += 1
    })
    const from = performance.now()
    for (let n = 1; n <= 500; n += 1) stream.onCallbacks([callback(n)])
    await eventually('all are shown', () => live.view.value.rows.length === 500)
    assert.ok(renderings <= 1 + (performance.now() - from) / 250, `${renderings} renderings`)
  })

  it('keeps its rows while the service cannot read the list, says why, and tries again', async () => {
    start(ALL, [Object.assign(new Error('The storage is not available now.'), { status: 503 }), { items: [callback(1)] }])
    stream.onCallbacks([callback(2)])
    await eventually('it says so', () => live.view.value.list === 'retrying' && live.view.value.rows.length === 1)
    assert.equal(live.view.value.problem, 'The storage is not available now.')
    await eventually('the list has come', () => shown().join() === '2,1')
    assert.equal(live.view.value.problem, undefined)
  })

  it('does not ask again for what the caller may not see', async () => {
    start(ALL, [Object.assign(new Error('There is nothing here.'), { status: 404 })])
    await eventually('it is refused', () => live.view.value.list === 'refused')
    assert.equal(paths.length, 1)
  })

  it('reads the list again when the stream starts over, and forgets what neither has', async () => {
    start(ALL, [{ items: [callback(2), callback(1)] }, { items: [callback(3)] }])
    await eventually('the list has come', isLoaded)
    stream.onStartOver()
    stream.onCallbacks([callback(4)])
    await eventually('only the new list is left', () => shown().join() === '4,3')
  })

  it('reads the list again if the stream starts over while it reads', async () => {
    let answer: (page: CallbackPage) => void = () => undefined
    start(ALL, [
      new Promise(resolve => {
        answer = resolve
      }),
      { items: [callback(3)] },
    ])
    stream.onStartOver()
    answer({ items: [callback(1)] })
    await eventually('only the new list is left', () => shown().join() === '3')
    assert.equal(paths.length, 2)
  })

  it('adds older callbacks when somebody asks', async () => {
    const page = Array.from({ length: 50 }, (_, index) => callback(52 - index))
    start(ALL, [{ items: page, next: '/v1/callbacks?cursor=x' }, { items: [callback(2)] }])
    await eventually('the list has come', isLoaded)
    assert.equal(live.view.value.hasOlder, true)
    await live.loadOlder()
    await eventually('the next page is shown', () => shown().length === 51 && shown().at(-1) === 2)
    assert.deepEqual([paths.at(-1), live.view.value.hasOlder], ['/v1/callbacks?cursor=x', false])
  })

  it('says what the stream says of itself', async () => {
    start(ALL, [{ items: [] }])
    for (const state of ['behind', 'live', 'lost'] as const) {
      stream.onState(state)
      await eventually(`it says ${state}`, () => live.view.value.stream === state)
    }
  })

  it('ends the stream and changes nothing more when it stops', async () => {
    start(ALL, [{ items: [] }])
    await eventually('the list has come', isLoaded)
    live.stop()
    const before = live.view.value
    stream.onCallbacks([callback(1)])
    assert.equal(isListening, false)
    assert.equal(live.view.value, before)
  })
})
