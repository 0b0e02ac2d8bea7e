import assert from 'node:assert/strict'
import { ConfigError } from '#foundation/config/schema.ts'
import { Settings } from '#foundation/config/settings.ts'
import { contradictionIn, schema } from '../config.ts'

const KEY = 'a-key-of-an-agent'

function read(env: Record<string, string>): Settings<typeof schema> {
  return new Settings(schema, { argv: [], env, check: contradictionIn })
}

describe('the settings of the agent', () => {
  it('have the names that the documentation gives', () => {
    const { answerback, agent, clientService, fetch, proxy, admin } = read({
      ANSWERBACK_URL: 'https://answerback.example',
      AGENT_KEY: KEY,
      CLIENT_SERVICE_URL: 'http://10.0.0.7',
      FETCH_CONCURRENCY: '7',
      HTTPS_PROXY: 'http://user:word@proxy.example:3128',
      NO_PROXY: '.internal',
    }).current
    assert.deepEqual([answerback.url, agent.key, agent.id], ['https://answerback.example', KEY, 'self'])
    assert.deepEqual([clientService.url, fetch.concurrency], ['http://10.0.0.7', 7])
    assert.deepEqual(proxy, { url: 'http://user:word@proxy.example:3128', except: '.internal' })
    assert.deepEqual([admin.port, admin.host], [6062, '127.0.0.1'])
  })

  it('show neither the key nor the password of the proxy', () => {
    const shown = JSON.stringify(read({ AGENT_KEY: KEY, HTTPS_PROXY: 'http://user:word@proxy.example:3128' }).masked())
    assert.ok(!shown.includes(KEY) && !shown.includes('word@'), shown)
    assert.match(shown, /http:\/\/user:\*\*\*@proxy\.example:3128/)
  })

  it('are refused if the agent does not know who it is', () => {
    assert.throws(() => read({}), new ConfigError('the agent does not know who it is: set AGENT_KEY, or AGENT_ID if no key is needed'))
    read({ AGENT_ID: '0190b0a6-0000-7000-8000-000000000001' })
  })

  it('are refused if they contradict each other', () => {
    for (const [env, message] of [
      [{ LEASES_WAIT_SECONDS: '61' }, 'leases.waitSeconds is above 60: the callback service waits no longer'],
      [{ ANSWERBACK_RETRY_BASE_MS: '20000' }, 'answerback.retryBaseMs is above answerback.retryMaxMs'],
      [{ ANSWERBACK_URL: 'http://a/?b' }, 'answerback.url has a query or a fragment: it must end with the path that contains /v1'],
      [{ FETCH_BREAKER_OPEN_MS: '2000' }, 'fetch.breakerOpenMs is above fetch.breakerMaxOpenMs'],
    ] as const)
      assert.throws(() => read({ AGENT_KEY: KEY, ...env }), new ConfigError(message))
  })
})
