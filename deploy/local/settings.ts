import { type Schema, setting, type Values } from '#foundation/config/schema.ts'

const STORES = ['auto', 'embedded', 'external', 'ephemeral'] as const

const port = (doc: string, fallback: number) => setting<number>({ doc, format: 'tcp-port', default: fallback })

/**
 * The settings of `make run`. Both services also read their own settings from the environment, except the ports and addresses named here.
 */
export const schema = {
  store: setting<(typeof STORES)[number]>({
    doc: 'Where callbacks are stored. embedded: the embedded PostgreSQL. external: the database of DATABASE_URL. ephemeral: an embedded PostgreSQL in memory, which keeps nothing. auto: external if DATABASE_URL is set, else embedded.',
    format: STORES,
    default: 'auto',
  }),
  callback: {
    port: port('Port of the callback service.', 9090),
    adminPort: port('Admin port of the callback service, for the live page, metrics, profiles and settings.', 6060),
  },
  client: {
    port: port('Port of the client service.', 9010),
    adminPort: port('Admin port of the client service, for metrics and fault switches.', 6061),
  },
  http: {
    host: setting<string>({
      doc: 'Address that both services listen on. Empty: 127.0.0.1. The callback service then listens on 0.0.0.0 if ACCESS_MODE=keys or ACCESS_SUPERUSER_KEYS is set.',
      format: 'text',
      default: '',
    }),
  },
  postgres: {
    port: port('Port of the embedded PostgreSQL, on 127.0.0.1. An ephemeral one picks a free port.', 5433),
  },
  database: {
    url: setting<string>({
      doc: 'PostgreSQL database to use, as a postgresql:// URL. Only for the store external.',
      format: 'text',
      default: '',
      secret: true,
    }),
  },
  tracing: {
    zipkinUrl: setting<string>({
      doc: 'URL to which both services send their spans, as Zipkin JSON v2. Empty: they send no spans.',
      format: 'optional-http-url',
      default: 'http://127.0.0.1:9411/api/v2/spans',
      env: 'ZIPKIN_URL',
    }),
  },
  summary: {
    intervalMs: setting<number>({ doc: 'Interval between two summary lines in the log, in milliseconds.', format: 'count', default: 5000 }),
  },
} as const satisfies Schema

export type RunConfig = Values<typeof schema>
