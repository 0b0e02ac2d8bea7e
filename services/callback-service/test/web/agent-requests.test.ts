import assert from 'node:assert/strict'
import {
  agentRefusalText,
  archiveRequest,
  assignRequest,
  changesOf,
  commandOf,
  createRequest,
  EMPTY_FORM,
  fetcherRequest,
  formOf,
  restoreRequest,
  takeAwayRequest,
} from '../../web/agent-requests.ts'
import { agent } from './agent-samples.ts'

const ID = '01a2012d-e90a-70df-bfc6-000000000001'
const CALLBACK = '01a2012d-e90a-70df-bfc6-000000000002'

describe('a new agent', () => {
  it('has the labels that were typed, each once', () => {
    const form = { ...EMPTY_FORM, name: ' plant-7 ', labels: 'gpu, plant=7  gpu' }
    assert.deepEqual(createRequest(form, 'shop'), {
      path: 'v1/agents?workspace_id=shop',
      method: 'POST',
      body: { name: 'plant-7', description: '', labels: ['gpu', 'plant=7'] },
    })
  })

  it('has as many callbacks at a time as was typed, also if that is wrong, because the service says so best', () => {
    const body = (maxLeases: string) => createRequest({ ...EMPTY_FORM, name: 'a', maxLeases }, 'shop').body
    assert.deepEqual(body('5'), { name: 'a', description: '', labels: [], max_leases: 5 })
    assert.deepEqual(body('0'), { name: 'a', description: '', labels: [], max_leases: 0 })
  })
})

describe('a change of an agent', () => {
  it('has what the operator changed, and nothing else', () => {
    const before = formOf(agent({ labels: ['a', 'b'], max_leases: 4 }))
    assert.deepEqual(changesOf(before, before), {})
    assert.deepEqual(changesOf({ ...before, labels: 'a,b', maxLeases: '5' }, before), { max_leases: 5 })
    assert.deepEqual(changesOf({ ...before, labels: '' }, before), { labels: [] })
  })
})

describe('requests about an agent', () => {
  it('name its workspace', () => {
    const one = agent({ workspace: 'shop' })
    const { path, method } = assignRequest(one, CALLBACK)
    assert.equal(`${method} ${path}`, `PUT v1/agents/${ID}/callbacks/${CALLBACK}?workspace_id=shop`)
    assert.equal(takeAwayRequest(one, CALLBACK).method, 'DELETE')
    assert.deepEqual(archiveRequest(one), { path: `v1/agents/${ID}?workspace_id=shop`, method: 'DELETE' })
    assert.deepEqual(restoreRequest(one), { path: `v1/agents/${ID}/restore?workspace_id=shop`, method: 'POST' })
  })

  it('change who fetches the objects of the workspace', () => {
    assert.deepEqual(fetcherRequest('shop', 'agents'), { path: 'v1/workspaces/shop', method: 'PATCH', body: { fetcher: 'agents' } })
  })
})

describe('what the page says of requests about agents', () => {
  it('is why the service refused', () => {
    const problem = { status: 409, code: 'agent_exists', message: 'There is one.' }
    assert.equal(agentRefusalText(problem), 'Nothing was changed. There is one. (agent_exists)')
  })

  it('is that nobody knows, when the service did not answer', () => {
    assert.match(agentRefusalText(new Error('The service does not answer.')), /Nobody knows whether it was done/)
  })

  it('is the command that starts an agent', () => {
    const command = commandOf('ab_shop_key', 'http://callbacks.example:9090')
    assert.match(command, /^ANSWERBACK_URL=http:\/\/callbacks\.example:9090 .*AGENT_KEY=ab_shop_key .*CLIENT_SERVICE_URL=.* make agent$/s)
  })
})
