import { baseSettings } from '#foundation/config/base-settings.ts'
import { type Schema, setting, type Values } from '#foundation/config/schema.ts'

/** Ids and ranges of ids, or nothing. */
const ID_RANGES = /^(-?\d{1,19}(\.\.-?\d{1,19})?(,(?=.)|$))*$/

const share = (what: string) =>
  setting<number>({ doc: `Share of the answers that ${what}, 0 to 1.`, format: 'ratio', default: 0, hot: true })

const shares = {
  errorShare: share('are a 500'),
  tooManyRequestsShare: share('are a 429 with Retry-After'),
  notFoundShare: share('are a 404'),
  hangShare: share('never come'),
  dripShare: share('begin and then come a byte at a time, without end'),
  garbageShare: share('are a 200 that is no JSON'),
  wrongIdShare: share('are about another object'),
  resetShare: share('are a connection reset'),
}

/** All settings of the client service. Printed by `--help`, listed in docs/configuration.md. */
export const schema = {
  ...baseSettings({ httpPort: 9010, adminPort: 6061 }),
  callbackService: {
    url: setting<string>({
      doc: 'Where the callback service is; callbacks go to /callback there.',
      format: 'http-url',
      default: 'http://127.0.0.1:9090',
    }),
    secret: setting<string>({
      doc: 'Secret to sign callbacks with (Standard Webhooks: `whsec_` and base64); empty: they are not signed.',
      format: 'webhook-secrets',
      default: '',
      secret: true,
    }),
  },
  emitter: {
    enabled: setting<boolean>({
      doc: 'Whether new callbacks are made; those on their way go on.',
      format: 'switch',
      default: true,
      hot: true,
    }),
    intervalMs: setting<number>({ doc: 'Milliseconds between two new callbacks.', format: 'count', default: 5000, hot: true }),
    maxIds: setting<number>({ doc: 'The most ids a callback names; the fewest is none.', format: 'integer', default: 200, hot: true }),
    maxOutstanding: setting<number>({
      doc: 'Callbacks that may wait to be taken; while so many do, no new one is made.',
      format: 'count',
      default: 1000,
      hot: true,
    }),
    timeoutMs: setting<number>({
      doc: 'A callback without an answer is sent again after so many milliseconds.',
      format: 'count',
      default: 10_000,
      hot: true,
    }),
    retryBaseMs: setting<number>({
      doc: 'Longest wait before a callback is sent the second time; doubles with each.',
      format: 'count',
      default: 200,
      hot: true,
    }),
    retryMaxMs: setting<number>({ doc: 'The longest it gets; bounds Retry-After too.', format: 'count', default: 10_000, hot: true }),
  },
  objects: {
    count: setting<number>({
      doc: 'Callbacks name objects from 1 to this; any other can be asked for too.',
      format: 'count',
      default: 100,
      hot: true,
    }),
  },
  latency: {
    minMs: setting<number>({ doc: 'The fastest an object is answered.', format: 'integer', default: 300, hot: true }),
    maxMs: setting<number>({ doc: 'The slowest; every time between is as likely.', format: 'integer', default: 4300, hot: true }),
  },
  faults: {
    ...shares,
    objectIds: setting<string>({
      doc: 'Objects whose answers go wrong, as ids and ranges: `7,100..130`. Empty: every object. It does not limit faults.down.',
      format: 'text',
      default: '',
      hot: true,
    }),
    retryAfterSeconds: setting<number>({ doc: 'What the Retry-After of a 429 says.', format: 'integer', default: 1, hot: true }),
    dripIntervalMs: setting<number>({
      doc: 'Milliseconds between two bytes of an answer that drips.',
      format: 'count',
      default: 500,
      hot: true,
    }),
    down: setting<boolean>({
      doc: 'As if the process were gone: every request is reset, health and those under way too. The admin port and the emitter go on.',
      format: 'switch',
      default: false,
      hot: true,
    }),
  },
} as const satisfies Schema

export type Config = Values<typeof schema>

/** What settings say against each other; undefined when nothing. */
export function contradictionIn({ latency, faults }: Pick<Config, 'latency' | 'faults'>): string | undefined {
  if (latency.minMs > latency.maxMs) return `latency.minMs (${latency.minMs}) is above latency.maxMs (${latency.maxMs})`
  if (!ID_RANGES.test(faults.objectIds)) return 'faults.objectIds must be ids and ranges of ids, as in 7,100..130'
  const total = Object.keys(shares).reduce((sum, name) => sum + faults[name as keyof typeof shares], 0)
  // Shares like 0.1 are no exact doubles: ten of them may add up to a little more than 1.
  if (total > 1 + 1e-9) return `the shares of faults add up to ${Number(total.toFixed(6))}; together they may be 1 at most`
  return undefined
}
