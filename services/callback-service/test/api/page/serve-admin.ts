import { pino } from 'pino'
import { type AdminOptions, adminServer } from '#foundation/admin/server.ts'
import { Settings } from '#foundation/config/settings.ts'
import { createRegistry } from '#foundation/telemetry/metrics.ts'
import { Telemetry } from '#foundation/telemetry/tracing.ts'
import { checkAnswers } from '../../../../../test/support/check-answers.ts'
import { adminPortRoutes, documentOf } from '../../../../../test/support/routes.ts'
import { PROBLEMS } from '../../../api/problem-kinds.ts'
import { schema } from '../../../config.ts'

/** The admin port with these routes. Nothing else of the service is there. */
export async function serveAdmin(options: Pick<AdminOptions<typeof schema>, 'routes' | 'doors'>) {
  const logger = pino({ level: 'silent' })
  const server = adminServer({
    ...{ port: 0, host: '127.0.0.1', allowedHosts: '', registry: createRegistry(), logger, kinds: PROBLEMS },
    settings: new Settings(schema, { argv: [], env: { DATABASE_URL: 'postgresql://a' } }),
    ...options,
  })
  const telemetry = new Telemetry({ serviceName: 'test', zipkinUrl: '', sampleRatio: 1, logger })
  telemetry.start()
  await server.start()
  const url = `http://127.0.0.1:${server.port}`
  const forget = checkAnswers(url, await documentOf(adminPortRoutes()))
  const stop = async (): Promise<void> => {
    forget()
    await server.stop()
    await telemetry.stop()
  }
  return { url, stop }
}
