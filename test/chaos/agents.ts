import { TcpProxy } from '../support/tcp-proxy.ts'
import { type Access, AGENTS_WORKSPACE } from './access.ts'
import { SupervisedService } from './supervised-service.ts'

/** An agent with its own proxies, one for each side. */
export interface ChaosAgent {
  /** The agent's id at the service. */
  readonly id: string
  readonly service: SupervisedService
  readonly toService: TcpProxy
  readonly toClient: TcpProxy
}

interface ChaosAgentOptions {
  readonly name: string
  readonly access: Access
  /** The URLs of the replicas now; undefined for a replica that is down. */
  readonly urls: () => readonly (string | undefined)[]
  readonly clientUrl: string
  /** Folder of the services' sources. */
  readonly root: string
}

/** The settings of the agents: the same short waits as those of the callback services. */
const SETTINGS = {
  ANSWERBACK_TIMEOUT_MS: '3000',
  ANSWERBACK_RETRY_MAX_MS: '1000',
  LEASES_WAIT_SECONDS: '5',
  FETCH_CONCURRENCY: '32',
  FETCH_TIMEOUT_MS: '2000',
  FETCH_BREAKER_OPEN_MS: '200',
  FETCH_BREAKER_MAX_OPEN_MS: '1000',
  ZIPKIN_URL: '',
}

/** Makes an agent at the service, and starts its process and its proxies. Each of its connections goes to the next replica that runs. */
export async function startAgent({ name, access, urls, clientUrl, root }: ChaosAgentOptions): Promise<ChaosAgent> {
  const { id, key } = await access.newAgent(name)
  let turn = 0
  const toService = new TcpProxy(() => {
    const there = urls().filter(url => url !== undefined)
    turn += 1
    return there[turn % there.length]
  })
  const toClient = new TcpProxy(clientUrl)
  await Promise.all([toService.start(), toClient.start()])
  const env = { ...SETTINGS, ANSWERBACK_URL: toService.url, AGENT_KEY: key, CLIENT_SERVICE_URL: toClient.url }
  const service = new SupervisedService({ service: 'agent', name, env, root })
  await service.start()
  return { id, service, toService, toClient }
}

/** Stops the agent and its proxies. */
export async function stopAgent({ service, toService, toClient }: ChaosAgent): Promise<void> {
  await service.stop()
  await Promise.all([toService.stop(), toClient.stop()])
}

/** Path of a request about the workspace that agents work for. */
export function agentsPath(path: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}workspace_id=${AGENTS_WORKSPACE}`
}
