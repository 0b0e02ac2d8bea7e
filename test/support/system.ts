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

/** What a callback service needs: a client service as a real process, a database, and a collector for spans. */
export interface Surroundings {
  readonly clientUrl: string
  readonly clientAdminUrl: string
  readonly databaseUrl: string
  readonly zipkin: ZipkinCollector
  readonly clientService: ServiceProcess
  readonly db: pg.Client
  /** Starts a callback service on the database. */
  startCallbackService(env?: Readonly<Record<string, string>>): Promise<ServiceProcess>
  /** Stops all callback services. Safe to repeat. */
  stopCallbackServices(): Promise<void>
  stop(): Promise<void>
}

/** Both services as real processes, their database, and a collector for their spans. */
export interface System extends Addresses, Surroundings {
  readonly callbackService: ServiceProcess
}

interface Options {
  readonly client?: Readonly<Record<string, string>>
  /** Settings of all callback services, unless the start of one has others. */
  readonly callback?: Readonly<Record<string, string>>
  /** Whether the services send spans (default: false). Both together then take half a second of CPU time more to start. */
  readonly hasTraces?: boolean
}

export async function startSystem(options: Options = {}): Promise<System> {
  const surroundings = await startSurroundings(options)
  const callbackService = await (await surroundings.startCallbackService()).ready()
  return { ...surroundings, callbackService, callbackUrl: callbackService.url, callbackAdminUrl: callbackService.adminUrl }
}

export async function startSurroundings(options: Options = {}): Promise<Surroundings> {
  const database = await createTestDatabase()
  const zipkin = new ZipkinCollector()
  await zipkin.start()
  const zipkinUrl = options.hasTraces ? zipkin.url : ''
  const db = new pg.Client({ connectionString: database.url })
  await db.connect()
  const clientService = await ServiceProcess.start('client-service', {
    EMITTER_ENABLED: 'false',
    LATENCY_MIN_MS: '5',
    LATENCY_MAX_MS: '50',
    ZIPKIN_URL: zipkinUrl,
    ...options.client,
  })
  const started: ServiceProcess[] = []
  const document = await documentOf(callbackPortRoutes())
  const adminDocument = joined(document, await documentOf(adminPortRoutes()))
  const forget: (() => void)[] = []
  const stopCallbackServices = async (): Promise<void> => {
    await Promise.all(started.splice(0).map(service => service.stop()))
    for (const end of forget.splice(0)) end()
  }
  return {
    clientUrl: clientService.url,
    clientAdminUrl: clientService.adminUrl,
    databaseUrl: database.url,
    zipkin,
    clientService,
    db,
    startCallbackService: async (env = {}) => {
      const service = await ServiceProcess.start('callback-service', {
        DATABASE_URL: database.url,
        CLIENT_SERVICE_URL: clientService.url,
        ZIPKIN_URL: zipkinUrl,
        ...options.callback,
        ...env,
      })
      started.push(service)
      forget.push(checkAnswers(service.url, document), checkAnswers(service.adminUrl, adminDocument))
      return service
    },
    stopCallbackServices,
    stop: async () => {
      await Promise.all([stopCallbackServices(), clientService.stop()])
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
