import assert from 'node:assert/strict'
import { readAgent, readAgents } from '../../web/agent-list.ts'
import { AgentRates } from '../../web/agent-rates.ts'
import { agent } from './agent-samples.ts'

const HIDDEN = Object.assign(new Error('not found'), { status: 404 })

describe('what the view Agents reads', () => {
  let paths: string[]
  const answering =
    (answers: Readonly<Record<string, unknown>>) =>
    async <T>(path: string): Promise<T> => {
      paths.push(path)
      const answer = answers[path.split('?', 1)[0] ?? '']
      if (answer instanceof Error) throw answer
      return answer as T
    }

  beforeEach(() => {
    paths = []
  })

  it('is the agents of the workspace, and who fetches its objects', async () => {
    const ask = answering({ 'v1/agents': { items: [agent()], next: '/v1/agents?cursor=x' }, 'v1/workspaces/shop': { fetcher: 'agents' } })
    const seen = await readAgents(ask, { workspace: 'shop', limit: 100, rates: new AgentRates() })
    assert.deepEqual(seen, { agents: [agent()], hasMore: true, fetcher: 'agents' })
    assert.deepEqual(paths, ['v1/agents?workspace_id=shop&limit=100', 'v1/workspaces/shop'])
  })

  it('is the agents alone where the caller may not see the workspace', async () => {
    const ask = answering({ 'v1/agents': { items: [] }, 'v1/workspaces/shop': HIDDEN })
    const { fetcher, hasMore } = await readAgents(ask, { workspace: 'shop', limit: 100, rates: new AgentRates() })
    assert.deepEqual([fetcher, hasMore], [undefined, false])
  })

  it('is nothing where the caller may not see the agents', async () => {
    const ask = answering({ 'v1/agents': HIDDEN, 'v1/workspaces/shop': HIDDEN })
    await assert.rejects(readAgents(ask, { workspace: 'shop', limit: 100, rates: new AgentRates() }), HIDDEN)
  })

  it('is one agent with its callbacks, whatever the address says', async () => {
    const ask = answering({ 'v1/agents/..%2F%3Cb%3E': agent(), 'v1/agents/..%2F%3Cb%3E/callbacks': { items: [{ id: '1' }] } })
    const { callbacks } = await readAgent(ask, { id: '../<b>', workspace: 'a&b', rates: new AgentRates() })
    assert.deepEqual(callbacks, [{ id: '1' }])
    assert.equal(paths[1], 'v1/agents/..%2F%3Cb%3E/callbacks?workspace_id=a%26b&limit=100')
  })
})
