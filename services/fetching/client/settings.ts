import { type Schema, setting, type Values } from '#foundation/config/schema.ts'
import { isRefusedHost } from './allowed-addresses.ts'

/** The settings of the client service that every service has which fetches objects. */
export const clientServiceSettings = {
  url: setting<string>({
    doc: 'URL of the client service. The service fetches objects from /objects/:id below it.',
    format: 'http-url',
    default: 'http://127.0.0.1:9010',
  }),
  keepAliveMs: setting<number>({
    doc: 'Maximum time a connection to the client service stays open while idle, in milliseconds. The client service can ask for less.',
    format: 'count',
    default: 10_000,
  }),
  allowLinkLocal: setting<boolean>({
    doc: 'Whether a client service may have a link-local, metadata, multicast or unspecified address.',
    format: 'switch',
    default: false,
  }),
  maxBaggageBytes: setting<number>({
    doc: 'Maximum size of the baggage header in a request to the client service, in bytes. Members that do not fit are dropped. 0 drops all.',
    format: 'integer',
    default: 4096,
  }),
} as const satisfies Schema

/** The settings of fetches that every service has which fetches objects. */
export const fetchSettings = {
  concurrency: setting<number>({
    doc: 'Maximum number of requests to client services at a time, in this process. Workspaces share them by their weights while they are scarce.',
    format: 'count',
    default: 512,
    hot: true,
  }),
  timeoutMs: setting<number>({
    doc: 'Maximum duration of a request to the client service, including the body of the answer, in milliseconds.',
    format: 'count',
    default: 6000,
    hot: true,
  }),
  maxTries: setting<number>({
    doc: 'Maximum number of requests for one object in one attempt of its callback.',
    format: 'count',
    default: 3,
  }),
  retryBaseMs: setting<number>({
    doc: 'Maximum wait before the second request for an object, in milliseconds. It doubles before each further request.',
    format: 'count',
    default: 200,
  }),
  maxHoldMs: setting<number>({
    doc: 'Maximum time a request waits for a Retry-After, or while the client service is down, in milliseconds. After that its callback goes back to the inbox.',
    format: 'integer',
    default: 2000,
  }),
  maxRetryAfterMs: setting<number>({
    doc: 'Longest Retry-After that the service honours, in milliseconds. A longer one is cut to this.',
    format: 'count',
    default: 60_000,
  }),
  breakerObjects: setting<number>({
    doc: 'Number of different objects that must fail, with no answer in between, before the service suspects the client service itself.',
    format: 'count',
    default: 5,
  }),
  breakerOpenMs: setting<number>({
    doc: 'First interval between two probes of a client service that is down, in milliseconds. It doubles up to fetch.breakerMaxOpenMs.',
    format: 'count',
    default: 1000,
  }),
  breakerMaxOpenMs: setting<number>({
    doc: 'Maximum interval between two probes of a client service that is down, in milliseconds.',
    format: 'count',
    default: 1000,
  }),
} as const satisfies Schema

/** The settings of a service that fetches objects, as far as they concern the fetches. */
export interface FetchingConfig {
  readonly clientService: Values<typeof clientServiceSettings>
  readonly fetch: Values<typeof fetchSettings>
}

/** Describes the first contradiction between these settings; undefined when there is none. */
export function fetchingContradictionIn({ clientService, fetch }: FetchingConfig): string | undefined {
  if (/[?#]/.test(clientService.url)) return 'clientService.url has a query or a fragment: it must end with the path that contains /objects'
  if (!clientService.allowLinkLocal && isRefusedHost(new URL(clientService.url)))
    return 'clientService.url is a link-local, metadata, multicast or unspecified address: set clientService.allowLinkLocal to allow it'
  if (fetch.breakerOpenMs > fetch.breakerMaxOpenMs) return 'fetch.breakerOpenMs is above fetch.breakerMaxOpenMs'
  return undefined
}
