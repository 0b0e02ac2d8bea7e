import { context, trace } from '@opentelemetry/api'
import { pino } from 'pino'
import { requestIdOf } from '../http/request-id.ts'

export type Logger = pino.Logger

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/**
 * Makes the logger of a process. It writes JSON lines to standard output, or coloured text if standard output is a terminal.
 * Every line carries the trace id, span id and request id of the work that wrote it.
 */
export async function createLogger(service: string, level: string): Promise<Logger> {
  const options: pino.LoggerOptions = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: label => ({ level: label }) },
    mixin: currentIds,
  }
  if (!process.stdout.isTTY) return pino(options)
  const { default: pretty } = await import('pino-pretty')
  return pino(options, pretty({ sync: true, singleLine: true, ignore: 'service,trace_id,span_id', translateTime: 'SYS:HH:MM:ss.l' }))
}

function currentIds(): object {
  const active = context.active()
  const span = trace.getSpanContext(active)
  const requestId = requestIdOf(active)
  return {
    ...(span && { trace_id: span.traceId, span_id: span.spanId }),
    ...(requestId && { request_id: requestId }),
  }
}
