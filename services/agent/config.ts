import { clientServiceSettings, fetchingContradictionIn, fetchSettings } from '#fetching/client/settings.ts'
import { processSettings } from '#foundation/config/base-settings.ts'
import { type Schema, setting, type Values } from '#foundation/config/schema.ts'

/** Longest time that a request for leases may wait. The callback service refuses a longer one. */
const MAX_WAIT_SECONDS = 60

/** All settings of the agent. Printed by `--help`, listed in docs/configuration.md. */
export const schema = {
  answerback: {
    url: setting<string>({
      doc: 'URL of the callback service. The agent leases callbacks from /v1/agents below it.',
      format: 'http-url',
      default: 'http://127.0.0.1:9090',
    }),
    timeoutMs: setting<number>({
      doc: 'Maximum duration of a request to the callback service, in milliseconds. A request for leases may also wait for leases.waitSeconds.',
      format: 'count',
      default: 10_000,
    }),
    retryBaseMs: setting<number>({
      doc: 'Maximum wait before the agent repeats a failed request to the callback service, in milliseconds. It doubles with each failure.',
      format: 'count',
      default: 200,
    }),
    retryMaxMs: setting<number>({
      doc: 'Maximum wait between two tries of a request to the callback service, in milliseconds. A Retry-After may make it longer.',
      format: 'count',
      default: 10_000,
    }),
  },
  agent: {
    key: setting<string>({
      doc: 'Key of the agent, of role agent. POST /v1/agents shows it once. Empty: the callback service needs no keys.',
      format: 'text',
      default: '',
      secret: true,
    }),
    id: setting<string>({
      doc: 'Id of the agent, as POST /v1/agents answered it. self: the agent that the key belongs to.',
      format: 'agent-id',
      default: 'self',
    }),
    workspaceId: setting<string>({
      doc: 'Workspace of the agent, if the callback service needs no keys. Empty: that of the key, or the default workspace.',
      format: 'workspace-id',
      default: '',
    }),
  },
  leases: {
    max: setting<number>({
      doc: 'Maximum number of callbacks that the agent holds at a time. The callback service may allow fewer.',
      format: 'count',
      default: 1000,
    }),
    waitSeconds: setting<number>({
      doc: 'Time a request for leases waits for callbacks, in seconds, from 1 to 60. Use less than the time after which your proxy cuts idle requests.',
      format: 'count',
      default: 30,
    }),
  },
  proxy: {
    url: setting<string>({
      doc: 'HTTP proxy for https requests to the callback service. It may contain a user name and a password. Empty: none.',
      format: 'optional-proxy-url',
      default: '',
      env: 'HTTPS_PROXY',
      secret: true,
    }),
    except: setting<string>({
      doc: 'Hosts that the agent reaches without the proxy, separated by commas: example.com,.internal,10.0.0.1:8443. `*` means all.',
      format: 'text',
      default: '',
      env: 'NO_PROXY',
    }),
  },
  clientService: clientServiceSettings,
  fetch: fetchSettings,
  ...processSettings({ adminPort: 6062 }),
} as const satisfies Schema

export type Config = Values<typeof schema>

/** Describes the first contradiction between settings; undefined when there is none. */
export function contradictionIn(config: Config): string | undefined {
  const { agent, answerback, leases } = config
  if (agent.key === '' && agent.id === 'self') return 'the agent does not know who it is: set AGENT_KEY, or AGENT_ID if no key is needed'
  if (/[?#]/.test(answerback.url)) return 'answerback.url has a query or a fragment: it must end with the path that contains /v1'
  if (answerback.retryBaseMs > answerback.retryMaxMs) return 'answerback.retryBaseMs is above answerback.retryMaxMs'
  if (leases.waitSeconds > MAX_WAIT_SECONDS) return `leases.waitSeconds is above ${MAX_WAIT_SECONDS}: the callback service waits no longer`
  return fetchingContradictionIn(config)
}
