import { type Context, createContextKey } from '@opentelemetry/api'

const REQUEST_ID = createContextKey('request id')

/** Puts the id that names a request across services (`X-Request-ID`) beside its trace. */
export function withRequestId(context: Context, requestId: string): Context {
  return context.setValue(REQUEST_ID, requestId)
}

export function requestIdOf(context: Context): string | undefined {
  return context.getValue(REQUEST_ID) as string | undefined
}
