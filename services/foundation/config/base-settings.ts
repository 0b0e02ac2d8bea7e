import { LOG_LEVELS } from '../telemetry/logger.ts'
import { type Schema, setting, type Values } from './schema.ts'

/** The settings both services have. */
export function baseSettings(defaults: { httpPort: number; adminPort: number }) {
  return {
    http: {
      port: setting<number>({ doc: 'Port of the service; 0 takes a free one.', format: 'tcp-port', default: defaults.httpPort }),
      host: setting<string>({ doc: 'Address the service listens on.', format: 'host', default: '0.0.0.0' }),
      maxConnections: setting<number>({
        doc: 'Connections open at once; beyond them, one that waits for no answer is closed.',
        format: 'count',
        default: 10_000,
      }),
    },
    admin: {
      port: setting<number>({
        doc: 'Port of metrics, profiles and settings; 0 takes a free one.',
        format: 'tcp-port',
        default: defaults.adminPort,
      }),
      host: setting<string>({
        doc: 'Address the admin port listens on. It has no authentication: keep it inside.',
        format: 'host',
        default: '127.0.0.1',
      }),
      allowedHosts: setting<string>({
        doc: 'Names under which the admin port may be asked, separated by spaces. IP addresses and localhost are always allowed.',
        format: 'host-names',
        default: '',
      }),
    },
    tracing: {
      zipkinUrl: setting<string>({
        doc: 'Where spans are sent, as Zipkin JSON v2; empty sends none.',
        format: 'optional-http-url',
        default: 'http://127.0.0.1:9411/api/v2/spans',
        env: 'ZIPKIN_URL',
      }),
      sampleRatio: setting<number>({
        doc: 'Share of new traces that are recorded, 0 to 1; a caller that decided already is followed.',
        format: 'ratio',
        default: 1,
        hot: true,
      }),
    },
    log: {
      level: setting<string>({ doc: `How much is logged: ${LOG_LEVELS.join(', ')}.`, format: LOG_LEVELS, default: 'info', hot: true }),
    },
    shutdown: {
      timeoutMs: setting<number>({
        doc: 'After SIGTERM the process ends within this many milliseconds, come what may.',
        format: 'count',
        default: 10_000,
      }),
      delayMs: setting<number>({
        doc: 'Milliseconds between readiness going false and the port closing. Give a balancer that polls readiness at least its interval.',
        format: 'integer',
        default: 100,
      }),
    },
  } as const satisfies Schema
}

export type BaseSchema = Schema & ReturnType<typeof baseSettings>
export type BaseValues = Values<ReturnType<typeof baseSettings>>
