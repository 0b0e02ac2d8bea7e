import { adminServer } from '#foundation/admin/server.ts'
import { HttpServer } from '#foundation/http/server.ts'
import { httpTelemetry } from '#foundation/http/telemetry.ts'
import { run } from '#foundation/lifecycle/run.ts'
import { createRegistry, httpMetrics } from '#foundation/telemetry/metrics.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { callbackApp } from '../../services/callback-service/api/app.ts'
import { type Inbox, postCallback } from '../../services/callback-service/api/callbacks/post-callback.ts'
import { schema } from '../../services/callback-service/config.ts'
import { access } from '../../services/callback-service/wiring/access.ts'
import { onlyDefault } from '../../test/support/only-default.ts'

/** Stores a callback. Resolves with its id when it is stored. */
export type Store = (callback: Parameters<Inbox['accept']>[0]) => Promise<string>

/** Runs the callback service's own app with another way to store callbacks. No worker processes them. */
export function runWithAnotherInbox(name: string, open: (databaseUrl: string) => Promise<Store>): Promise<void> {
  return run({
    name,
    schema,
    parts: ({ settings, logger }) => {
      const config = settings.current
      const registry = createRegistry()
      let store: Store
      const inbox: Inbox = {
        waitSeconds: 0,
        accept: async callback => ({
          id: await store(callback),
          receivedAt: new Date(),
          isReplay: false,
          durability: 'database',
          forecast: undefined,
        }),
      }
      const telemetry = new Telemetry({ serviceName: name, ...config.tracing, logger })
      const requestTelemetry = httpTelemetry({ logger, observe: httpMetrics(registry), isTraced: () => true })
      const onReceived = (): void => undefined
      const { gate, isSigned, signatureOf } = access({
        config,
        directory: onlyDefault,
        clock: { nowMs: Date.now },
        replicas: () => 1,
        waitSeconds: () => 0,
        logger,
      })
      const waiters = { take: () => undefined }
      const routes = [postCallback({ inbox, waiters, ...config.accept, isSigned, signatureOf, shutdown: { isClosed: false }, onReceived })]
      return [
        telemetry,
        {
          name: 'inbox',
          start: async () => {
            store = await open(config.database.url)
          },
        },
        adminServer({ ...config.admin, registry, settings, logger }),
        new HttpServer({
          name: 'http',
          ...config.http,
          logger,
          handler: callbackApp({ telemetry: requestTelemetry, routes, gate, onReceived, logger }),
        }),
        telemetry.sending,
      ]
    },
  })
}
