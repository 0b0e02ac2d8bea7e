import { baseSettings } from '#foundation/config/base-settings.ts'
import { type Schema, setting, type Values } from '#foundation/config/schema.ts'

/** A list of ids and ranges of ids, or the empty string. */
const ID_RANGES = /^(-?\d{1,19}(\.\.-?\d{1,19})?(,(?=.)|$))*$/

const share = (what: string) =>
  setting<number>({ doc: `Share of the answers that ${what}, from 0 (none) to 1 (all).`, format: 'ratio', default: 0, hot: true })

const shares = {
  errorShare: share('are a 500'),
  tooManyRequestsShare: share('are a 429 with Retry-After'),
  notFoundShare: share('are a 404'),
  hangShare: share('never arrive'),
  dripShare: share('begin and then arrive one byte at a time, forever'),
  garbageShare: share('are a 200 that is not JSON'),
  wrongIdShare: share('describe another object'),
  resetShare: share('reset the connection instead'),
}

/** All settings of the client service. Printed by `--help`, listed in docs/configuration.md. */
export const schema = {
  ...baseSettings({ httpPort: 9010, adminPort: 6061 }),
  callbackService: {
    url: setting<string>({
      doc: 'URL of the callback service. The emitter sends callbacks to /callback below it.',
      format: 'http-url',
      default: 'http://127.0.0.1:9090',
    }),
    key: setting<string>({
      doc: 'Key with which the emitter sends callbacks, of role send. Empty: it sends none.',
      format: 'text',
      default: '',
      secret: true,
    }),
    secret: setting<string>({
      doc: 'Secret that signs callbacks (Standard Webhooks: `whsec_` and base64). Empty: callbacks are not signed.',
      format: 'webhook-secrets',
      default: '',
      secret: true,
    }),
  },
  emitter: {
    enabled: setting<boolean>({
      doc: 'Whether the emitter creates new callbacks. If false, it still delivers those it has created.',
      format: 'switch',
      default: true,
      hot: true,
    }),
    intervalMs: setting<number>({ doc: 'Interval between two new callbacks, in milliseconds.', format: 'count', default: 5000, hot: true }),
    maxIds: setting<number>({
      doc: 'Maximum number of ids in a callback. Each callback has a random number of ids from 0 to this.',
      format: 'integer',
      default: 200,
      hot: true,
    }),
    maxOutstanding: setting<number>({
      doc: 'Maximum number of callbacks that are not yet accepted. While that many wait, the emitter creates no new one.',
      format: 'count',
      default: 1000,
      hot: true,
    }),
    timeoutMs: setting<number>({
      doc: 'Maximum time to wait for the answer to a callback, in milliseconds. After that the emitter sends it again.',
      format: 'count',
      default: 10_000,
      hot: true,
    }),
    retryBaseMs: setting<number>({
      doc: 'Maximum wait before the emitter sends a callback a second time, in milliseconds. It doubles with each retry, up to emitter.retryMaxMs.',
      format: 'count',
      default: 200,
      hot: true,
    }),
    retryMaxMs: setting<number>({
      doc: 'Maximum wait between two sends of a callback, in milliseconds. It also limits the Retry-After that the emitter honours.',
      format: 'count',
      default: 10_000,
      hot: true,
    }),
  },
  objects: {
    count: setting<number>({
      doc: 'Highest object id in a callback; the lowest is 1. The service also answers requests for any other id.',
      format: 'count',
      default: 100,
      hot: true,
    }),
  },
  latency: {
    minMs: setting<number>({
      doc: 'Shortest time to answer a request for an object, in milliseconds. Each time up to latency.maxMs is equally likely.',
      format: 'integer',
      default: 300,
      hot: true,
    }),
    maxMs: setting<number>({
      doc: 'Longest time to answer a request for an object, in milliseconds. Each time down to latency.minMs is equally likely.',
      format: 'integer',
      default: 4300,
      hot: true,
    }),
  },
  faults: {
    ...shares,
    objectIds: setting<string>({
      doc: 'Objects that the fault shares apply to, as ids and ranges: `7,100..130`. Empty: every object. It does not limit faults.down.',
      format: 'text',
      default: '',
      hot: true,
    }),
    retryAfterSeconds: setting<number>({
      doc: 'Value of Retry-After in an injected 429, in seconds.',
      format: 'integer',
      default: 1,
      hot: true,
    }),
    dripIntervalMs: setting<number>({
      doc: 'Interval between two bytes of a dripping answer (faults.dripShare), in milliseconds.',
      format: 'count',
      default: 500,
      hot: true,
    }),
    down: setting<boolean>({
      doc: 'Whether the service resets every connection, as if the process were gone, including health checks. The admin port and the emitter still work.',
      format: 'switch',
      default: false,
      hot: true,
    }),
  },
} as const satisfies Schema

export type Config = Values<typeof schema>

/** Describes the first contradiction between settings; undefined when there is none. */
export function contradictionIn({ latency, faults }: Pick<Config, 'latency' | 'faults'>): string | undefined {
  if (latency.minMs > latency.maxMs) return `latency.minMs (${latency.minMs}) is above latency.maxMs (${latency.maxMs})`
  if (!ID_RANGES.test(faults.objectIds)) return 'faults.objectIds must be ids and ranges of ids, as in 7,100..130'
  const total = Object.keys(shares).reduce((sum, name) => sum + faults[name as keyof typeof shares], 0)
  // Shares such as 0.1 are not exact doubles: ten of them can add up to slightly more than 1.
  if (total > 1 + 1e-9) return `the shares of faults add up to ${Number(total.toFixed(6))}; together they may be at most 1`
  return undefined
}
