import { type Schema, setting, type Values } from '#foundation/config/schema.ts'

const port = (doc: string, fallback: number) => setting<number>({ doc, format: 'tcp-port', default: fallback })

/** The settings of `make run`. Both services read their own from the environment too, but for the ports and addresses named here. */
export const schema = {
  callback: {
    port: port('Port of the callback service.', 9090),
    adminPort: port('Port of its metrics, profiles and settings.', 6060),
  },
  client: {
    port: port('Port of the client service.', 9010),
    adminPort: port('Port of its metrics and fault switches.', 6061),
  },
  postgres: {
    port: port('Port of the embedded PostgreSQL, on 127.0.0.1.', 5433),
  },
  database: {
    url: setting<string>({ doc: 'A PostgreSQL of your own; empty runs the embedded one.', format: 'text', default: '', secret: true }),
  },
  tracing: {
    zipkinUrl: setting<string>({
      doc: 'Where both services send their spans.',
      format: 'optional-http-url',
      default: 'http://127.0.0.1:9411/api/v2/spans',
      env: 'ZIPKIN_URL',
    }),
  },
  summary: {
    intervalMs: setting<number>({ doc: 'Milliseconds between two lines of what happened.', format: 'count', default: 5000 }),
  },
} as const satisfies Schema

export type RunConfig = Values<typeof schema>
