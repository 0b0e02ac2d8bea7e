import pg from 'pg'
import { checkAnswers } from './check-answers.ts'
import { createTestDatabase } from './database.ts'
import { adminPortRoutes, callbackPortRoutes, documentOf } from './routes.ts'
import { ServiceProcess } from './service-process.ts'
import { ZipkinCollector } from './zipkin-collector.ts'

/** The addresses of the services under test. They may be ours or those of a running system. */
export interface Addresses {
  readonly callbackUrl: string
  readonly callbackAdminUrl: string
  readonly clientUrl: string
  readonly clientAdminUrl: string
  readonly databaseUrl: string
}

/** Both services as real processes, their database, and a collector for their spans. */
export interface System extends Addresses {
  readonly zipkin: ZipkinCollector
  readonly callbackService: ServiceProcess
  readonly clientService: ServiceProcess
  readonly db: pg.Client
  /** Starts another callback service on the same database, or one that has ended again. */
  startCallbackService(env?: Record<string, string>): Promise<ServiceProcess>
  stop(): Promise<void>
}

export async function startSystem(options: { client?: Record<string, string>; callback?: Record<string, string> } = {}): Promise<System> {
  const database = await createTestDatabase()
  const zipkin = new ZipkinCollector()
  await zipkin.start()
  const db = new pg.Client({ connectionString: database.url })
  await db.connect()
  const clientService = await ServiceProcess.start('client-service', {
    EMITTER_ENABLED: 'false',
    LATENCY_MIN_MS: '5',
    LATENCY_MAX_MS: '50',
    ZIPKIN_URL: zipkin.url,
    ...options.client,
  })
  const started: ServiceProcess[] = []
  const document = await documentOf(callbackPortRoutes())
  const adminDocument = joined(document, await documentOf(adminPortRoutes()))
  const forget: (() => void)[] = []
  const startCallbackService = async (env: Record<string, string> = {}): Promise<ServiceProcess> => {
    const service = await ServiceProcess.start('callback-service', {
      DATABASE_URL: database.url,
      CLIENT_SERVICE_URL: clientService.url,
      ZIPKIN_URL: zipkin.url,
      ...options.callback,
      ...env,
    })
    started.push(service)
    forget.push(checkAnswers(service.url, document), checkAnswers(service.adminUrl, adminDocument))
    return service
  }
  const callbackService = await (await startCallbackService()).ready()
  return {
    callbackUrl: callbackService.url,
    callbackAdminUrl: callbackService.adminUrl,
    clientUrl: clientService.url,
    clientAdminUrl: clientService.adminUrl,
    databaseUrl: database.url,
    zipkin,
    callbackService,
    clientService,
    db,
    startCallbackService,
    stop: async () => {
      for (const end of forget) end()
      await Promise.all([...started, clientService].map(service => service.stop()))
      zipkin.stop()
      await db.end()
      await database.drop()
    },
  }
}

/** The admin port also serves routes of the port for senders. */
function joined(sender: object, admin: object): object {
  const pathsOf = (document: object): object => (document as { paths: object }).paths
  return { ...sender, ...admin, paths: { ...pathsOf(sender), ...pathsOf(admin) } }
}
