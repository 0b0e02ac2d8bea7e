import { type Context, createContextKey } from '@opentelemetry/api'

const REQUEST_ID = createContextKey('request id')

/** Adds the id of a request (`X-Request-ID`) to its context. A request keeps its id across services. */
export function withRequestId(context: Context, requestId: string): Context {
  return context.setValue(REQUEST_ID, requestId)
}

export function requestIdOf(context: Context): string | undefined {
  return context.getValue(REQUEST_ID) as string | undefined
}
