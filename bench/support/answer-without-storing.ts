import { adminServer } from '#foundation/admin-server.ts'
import { HttpServer } from '#foundation/http-server.ts'
import { httpTelemetry } from '#foundation/http-telemetry.ts'
import { createRegistry, httpMetrics } from '#foundation/metrics.ts'
import { run } from '#foundation/run.ts'
import { Telemetry } from '#foundation/telemetry.ts'
import { callbackApp } from '../../services/callback-service/api/app.ts'
import { callbackRoutes } from '../../services/callback-service/api/callback.ts'
import { schema } from '../../services/callback-service/config.ts'

/** The callback service's own app with one thing taken out: the inbox says yes without storing. What accepting costs is measured against it. */
await run({
  name: 'answer-without-storing',
  schema,
  parts: ({ settings, logger }) => {
    const config = settings.current
    const registry = createRegistry()
    const answer = { id: '01890a5d-ac96-774b-bcce-b302099a8057', receivedAt: new Date(), isReplay: false }
    return [
      new Telemetry({ serviceName: 'answer-without-storing', ...config.tracing, logger }),
      adminServer({ ...config.admin, registry, settings, logger }),
      new HttpServer({
        name: 'http',
        ...config.http,
        logger,
        handler: callbackApp({
          telemetry: httpTelemetry({ logger, observe: httpMetrics(registry), isTraced: () => true }),
          routes: [
            callbackRoutes({
              inbox: { accept: async () => answer },
              ...config.accept,
              isShuttingDown: () => false,
              onReceived: () => undefined,
            }),
          ],
          logger,
        }),
      }),
    ]
  },
})
