import { context, trace } from '@opentelemetry/api'
import { pino } from 'pino'
import { requestIdOf } from '../http/request-id.ts'

export type Logger = pino.Logger

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/**
 * The log of one process: JSON lines on standard output, or readable ones where that is a terminal and pino-pretty is installed.
 * Every line carries the trace, span and request id of the work it was written in.
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
