import { type Schema, setting } from '../config/schema.ts'

/** A setting of each kind: required and not, hot and not, secret and not. */
export const schema = {
  http: {
    port: setting<number>({ doc: 'Where it listens.', format: 'tcp-port', default: 8080 }),
    host: setting<string>({ doc: 'On which address.', format: 'host', default: '0.0.0.0' }),
  },
  database: { url: setting<string>({ doc: 'The database.', format: 'postgres-url', default: null, secret: true }) },
  zipkin: { url: setting<string>({ doc: 'Where spans go.', format: 'optional-http-url', default: '', env: 'ZIPKIN_URL' }) },
  fetch: {
    timeoutMs: setting<number>({ doc: 'How long.', format: 'count', default: 1000, hot: true }),
    retries: setting<number>({ doc: 'How often.', format: 'integer', default: 2, hot: true }),
  },
  sample: { ratio: setting<number>({ doc: 'How many.', format: 'ratio', default: 1, hot: true }) },
  log: { level: setting<string>({ doc: 'How much.', format: ['info', 'warn'], default: 'info', hot: true }) },
  emit: setting<boolean>({ doc: 'Whether.', format: 'switch', default: false, hot: true }),
} as const satisfies Schema

export const DATABASE_URL = 'postgresql://reader:hunter2@db.example:5433/answerback'
