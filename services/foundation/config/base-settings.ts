import { EXPORTERS, type ExporterName } from '../telemetry/exporters.ts'
import { LOG_LEVELS } from '../telemetry/logger.ts'
import { type Schema, setting, type Values } from './schema.ts'

/** The settings of a service with a port of its own. */
export function baseSettings(defaults: { httpPort: number; adminPort: number }) {
  const { shutdown, ...process } = processSettings(defaults)
  return {
    http: {
      port: setting<number>({ doc: 'Port the service listens on. 0 picks a free port.', format: 'tcp-port', default: defaults.httpPort }),
      host: setting<string>({ doc: 'Address the service listens on.', format: 'host', default: '0.0.0.0' }),
      maxConnections: setting<number>({
        doc: 'Maximum number of open connections of each port. Beyond it, the service closes a connection that waits for no answer.',
        format: 'count',
        default: 10_000,
      }),
    },
    ...process,
    shutdown: {
      ...shutdown,
      delayMs: setting<number>({
        doc: 'Time between readiness going false and the port closing, in milliseconds. Use at least the interval at which your balancer polls readiness.',
        format: 'integer',
        default: 100,
      }),
    },
  } as const satisfies Schema
}

/** The settings that every service has. */
export function processSettings(defaults: { adminPort: number }) {
  return {
    admin: {
      port: setting<number>({
        doc: 'Admin port, for metrics, profiles and settings. 0 picks a free port.',
        format: 'tcp-port',
        default: defaults.adminPort,
      }),
      host: setting<string>({
        doc: 'Address the admin port listens on. The admin port has no authentication: keep it on a private network.',
        format: 'host',
        default: '127.0.0.1',
      }),
      allowedHosts: setting<string>({
        doc: 'Host names that requests to the admin port may use, separated by spaces. IP addresses and localhost are always allowed.',
        format: 'host-names',
        default: '',
      }),
    },
    tracing: {
      exporter: setting<ExporterName>({
        doc: 'How the service sends its spans: zipkin, otlp (to an OpenTelemetry collector) or none.',
        format: EXPORTERS,
        default: 'zipkin',
      }),
      zipkinUrl: setting<string>({
        doc: 'URL that receives the spans, as Zipkin JSON v2. Empty: the service sends no spans.',
        format: 'optional-http-url',
        default: 'http://127.0.0.1:9411/api/v2/spans',
        env: 'ZIPKIN_URL',
      }),
      sampleRatio: setting<number>({
        doc: 'Share of new traces to record, from 0 (none) to 1 (all). If the caller has already decided, its decision applies.',
        format: 'ratio',
        default: 1,
        hot: true,
      }),
    },
    log: {
      level: setting<string>({
        doc: `Lowest level to log, one of ${LOG_LEVELS.join(', ')}.`,
        format: LOG_LEVELS,
        default: 'info',
        hot: true,
      }),
    },
    shutdown: {
      timeoutMs: setting<number>({
        doc: 'Maximum time from SIGTERM to the end of the process, in milliseconds. If work is left then, the process exits with 1.',
        format: 'count',
        default: 10_000,
      }),
    },
  } as const satisfies Schema
}

export type ProcessSchema = Schema & ReturnType<typeof processSettings>
export type ProcessValues = Values<ReturnType<typeof processSettings>>
