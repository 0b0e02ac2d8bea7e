import assert from 'node:assert/strict'
import { eventually } from '../../../../test/support/eventually.ts'
import { OperationFeed } from '../../web/operation-feed.ts'
import type { Operation } from '../../web/operations.ts'

const operation = (id: string, changes: Partial<Operation> = {}): Operation => ({
  id,
  change: { kind: 'pause' },
  filter: {},
  state: 'completed',
  dry_run: false,
  matched: 10,
  done: 10,
  skipped: 0,
  rate_per_second: null,
  eta_ms: null,
  created_at: '2026-11-22T02:55:15.725Z',
  ...changes,
})

describe('OperationFeed', () => {
  let feed: OperationFeed
  let paths: string[]
  let answers: Record<string, unknown>

  beforeEach(() => {
    paths = []
    answers = {}
    feed = new OperationFeed('shop', async <T>(path: string) => {
      paths.push(path)
      const answer = answers[path.replace(/\?.*/, '')]
      if (answer instanceof Error) throw answer
      return answer as T
    })
  })
  afterEach(() => feed.stop())

  const shown = () => feed.view.value.operations?.map(({ id, done }) => `${id} ${done}`).join()

  it('follows the operations that are under way, and not the others', async () => {
    answers['v1/operations'] = { items: [operation('b', { state: 'running', done: 1 }), operation('a')] }
    answers['v1/operations/b'] = operation('b', { state: 'running', done: 2 })
    feed.start()
    await eventually('it has gone on', () => shown() === 'b 2,a 10')
    assert.deepEqual(paths, ['v1/operations?limit=20&workspace_id=shop', 'v1/operations/b?workspace_id=shop'])
  })

  it('shows an operation at once when it was started', async () => {
    answers['v1/operations'] = { items: [operation('a')] }
    feed.start()
    await eventually('the list has come', () => shown() === 'a 10')
    answers['v1/operations'] = { items: [operation('b', { state: 'counting', done: 0 }), operation('a')] }
    feed.add(operation('b', { state: 'counting', done: 0 }))
    assert.equal(shown(), 'b 0,a 10')
  })

  it('keeps the operations while the service is away, and says why', async () => {
    answers['v1/operations'] = { items: [operation('a')] }
    feed.start()
    await eventually('the list has come', () => shown() === 'a 10')
    answers['v1/operations'] = new Error('away')
    feed.refresh()
    await eventually('it says so', () => feed.view.value.problem === 'away')
    assert.equal(shown(), 'a 10')
  })
})
