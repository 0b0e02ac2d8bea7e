import { heapSampling } from '#foundation/admin/profiles.ts'
import { adminServer } from '#foundation/admin/server.ts'
import { HEALTH_PATHS } from '#foundation/http/health.ts'
import { HttpServer } from '#foundation/http/server.ts'
import { Shutdown } from '#foundation/http/shutdown.ts'
import { httpTelemetry } from '#foundation/http/telemetry.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'
import type { ServiceContext } from '#foundation/lifecycle/run.ts'
import { createRegistry, httpMetrics } from '#foundation/telemetry/metrics.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { CallbackClient } from './adapters/callback-client.ts'
import { clientApp } from './api/app.ts'
import { HeldAnswers } from './api/held-answers.ts'
import { clientServiceRoutes } from './api/routes.ts'
import type { schema } from './config.ts'
import { clientMetrics } from './metrics.ts'
import { CallbackEmitter } from './workers/callback-emitter.ts'

/** Joins the rooms of the client service. @returns the parts in the order in which they start; they stop in reverse order */
export function parts({ settings, logger }: ServiceContext<typeof schema>): Part[] {
  const config = settings.current
  const registry = createRegistry()
  const metrics = clientMetrics(registry, { held: () => held.count, outstanding: () => emitter.outstanding })

  const telemetry = new Telemetry({ serviceName: 'client-service', ...config.tracing, logger })
  const admin = adminServer({ ...config.admin, maxConnections: config.http.maxConnections, registry, settings, logger })

  const held = new HeldAnswers()
  const observe = httpMetrics(registry)
  const shutdown = new Shutdown()
  const http = new HttpServer({
    name: 'http',
    ...config.http,
    drainMs: config.shutdown.delayMs,
    shutdown,
    onRefused: ({ method, status }) => observe({ method, route: 'unmatched', status }, 0),
    logger,
    handler: clientApp({
      isDown: () => settings.current.faults.down,
      telemetry: httpTelemetry({ logger, observe, isTraced: path => !HEALTH_PATHS.has(path) }),
      routes: clientServiceRoutes({
        behaviour: () => settings.current,
        held,
        random: Math.random,
        onAnswer: fault => metrics.answered.inc({ fault }),
        checks: [{ name: 'shutdown', problem: () => (shutdown.isDraining ? 'the service is shutting down' : undefined) }],
      }),
      logger,
    }),
  })

  const callbackClient = new CallbackClient({ ...config.callbackService, timeoutMs: () => settings.current.emitter.timeoutMs })
  const emitter = new CallbackEmitter({
    receiver: callbackClient,
    policy: () => ({ ...settings.current.emitter, objectCount: settings.current.objects.count }),
    random: Math.random,
    onEmitted: outcome => metrics.emitted.inc({ outcome }),
    onRetry: () => metrics.retries.inc(),
    logger,
  })

  settings.onChange(next => {
    telemetry.setSampleRatio(next.tracing.sampleRatio)
    if (next.faults.down) held.release()
    emitter.wake()
  })

  return [telemetry, heapSampling, admin, http, held, callbackClient, emitter, telemetry.sending]
}
