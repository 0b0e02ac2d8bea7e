import { rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { ConfigError, helpText } from '#foundation/config/schema.ts'
import { Settings } from '#foundation/config/settings.ts'
import { Lifecycle, type Part } from '#foundation/lifecycle/parts.ts'
import { answersZipkin, banner } from './banner.ts'
import { LocalDatabase, migrateDatabase } from './database.ts'
import { openEphemeralFolder } from './ephemeral-folder.ts'
import { emitterKey, hostInUrl, type ListenHosts, listenHosts, needsKeys } from './hosts.ts'
import { LocalService } from './local-service.ts'
import { LogView } from './log-view.ts'
import { isPortFree } from './ports.ts'
import { type RunConfig, schema } from './settings.ts'
import { exitOnSetupError, SetupError } from './setup-error.ts'
import { ownStoreEnv, type Store, storeOf } from './store.ts'
import { Summary } from './summary.ts'

/**
 * `make run` runs everything on this machine without Docker: an embedded PostgreSQL, the callback service and the client service, with one
 * log. Ctrl-C (or SIGTERM) stops them one after the other, in reverse order. A second Ctrl-C kills them.
 */
const LOCAL = fileURLToPath(new URL('../../.local/', import.meta.url))
const POSTGRES = `${LOCAL}postgres`

await exitOnSetupError(async () => {
  if (process.argv.includes('--help')) {
    process.stdout.write(helpText('make run, or: node deploy/local/run.ts', schema))
    return
  }
  await run(readConfig())
})

async function run(config: RunConfig): Promise<void> {
  const log = new LogView(process.stdout)
  const say = (line: string): void => log.say(line)
  const hosts = listenHosts(config.http.host, process.env)
  const store = storeOf(config, process.env)
  await requireFreePorts(config, hosts, store)
  await mkdir(LOCAL, { recursive: true })

  const ephemeral = store === 'ephemeral' ? await openEphemeralFolder(say) : undefined
  const urlFile = ephemeral ? `${ephemeral.path}/database-url` : `${LOCAL}database-url`
  const onGivenUp = (error: SetupError): void => {
    say(error.message)
    void stop(1)
  }
  const database = new LocalDatabase({
    ...(ephemeral
      ? { folder: `${ephemeral.path}/postgres`, port: 0, isEphemeral: true, binariesFolder: POSTGRES }
      : { folder: POSTGRES, port: config.postgres.port }),
    urlFile,
    say,
    onGivenUp,
  })
  const [callbackService, clientService] = services({
    config,
    hosts,
    storeEnv: () =>
      store === 'external' ? { DATABASE_URL: config.database.url } : ownStoreEnv(database.url, ephemeral?.path, process.env),
    log,
    onGivenUp,
  })
  const ownDatabase: Part = { name: 'database', start: () => migrateDatabase(config.database.url, say) }
  const summary = new Summary({
    metricsUrl: `http://127.0.0.1:${config.callback.adminPort}/metrics`,
    intervalMs: config.summary.intervalMs,
    say,
  })
  const parts = [...(ephemeral ? [ephemeral] : []), store === 'external' ? ownDatabase : database, callbackService, clientService, summary]
  const lifecycle = new Lifecycle(parts, (part, error) => say(`${part} did not stop cleanly: ${error}`))

  let isStopping = false
  async function stop(exitCode: number): Promise<void> {
    if (isStopping) return
    isStopping = true
    const isClean = await lifecycle.stop().then(
      () => true,
      () => false,
    )
    process.exit(isClean ? exitCode : 1)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (isStopping) {
        for (const part of [clientService, callbackService, database]) part.kill()
        // The supervisor of the server deletes the data only if it has to end the server itself.
        if (ephemeral) rmSync(ephemeral.path, { recursive: true, force: true, maxRetries: 10 })
        process.exit(1)
      }
      say('stopping; a second Ctrl-C kills everything')
      void stop(0)
    })
  }
  // The reader of our log has gone, so stop.
  process.stdout.on('error', () => void stop(1))

  try {
    await lifecycle.start()
  } catch (error) {
    // A part that is told to stop may fail to start.
    if (!isStopping) throw error
    return
  }
  log.print(
    banner({
      config,
      hosts,
      needsKeys: needsKeys(process.env),
      hasEmitterKey: Boolean(emitterKey(process.env)),
      urlFile: store === 'external' ? undefined : urlFile,
      ephemeral,
      hasZipkin: await answersZipkin(config.tracing.zipkinUrl),
      readyMs: performance.now(),
    }),
  )
}

function readConfig(): RunConfig {
  try {
    return new Settings(schema, { argv: process.argv.slice(2), env: process.env }).current
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new SetupError('invalid_setting', error.message, { cause: error })
  }
}

async function requireFreePorts(config: RunConfig, hosts: ListenHosts, store: Store): Promise<void> {
  const wanted = [
    [hosts.callback, config.callback.port, 'the callback service', 'CALLBACK_PORT'],
    ['127.0.0.1', config.callback.adminPort, "the callback service's admin port", 'CALLBACK_ADMIN_PORT'],
    [hosts.client, config.client.port, 'the client service', 'CLIENT_PORT'],
    ['127.0.0.1', config.client.adminPort, "the client service's admin port", 'CLIENT_ADMIN_PORT'],
    ...(store === 'embedded' ? [['127.0.0.1', config.postgres.port, 'PostgreSQL', 'POSTGRES_PORT'] as const] : []),
  ] as const
  const taken = await Promise.all(wanted.map(async ([host, port]) => !(await isPortFree(port, host)))).catch((cause: Error) => {
    throw new SetupError('invalid_setting', `http.host: this machine cannot listen on ${config.http.host} (${cause.message})`, { cause })
  })
  const problems = wanted
    .filter((_, i) => taken[i])
    .map(
      ([, port, what, env]) =>
        `port ${port} is in use, but ${what} needs it: stop the program that listens there, or choose another port with ${env}=`,
    )
  if (problems.length > 0) throw new SetupError('port_in_use', problems.join('\n'))
}

function services(options: {
  config: RunConfig
  hosts: ListenHosts
  /** Settings of the callback service that depend on the store. */
  storeEnv: () => Readonly<Record<string, string>>
  log: LogView
  onGivenUp: (error: SetupError) => void
}): [LocalService, LocalService] {
  const { config, hosts, storeEnv, log, onGivenUp } = options
  const { callback, client, tracing } = config
  const callbackUrl = `http://${hostInUrl(hosts.callback)}:${callback.port}`
  const clientUrl = `http://${hostInUrl(hosts.client)}:${client.port}`
  const shared = { ...process.env, ZIPKIN_URL: tracing.zipkinUrl }
  return [
    new LocalService({
      name: 'callback-service',
      logPrefix: 'callback',
      readyUrl: `${callbackUrl}/readyz`,
      env: () => ({
        ...shared,
        HTTP_HOST: hosts.callback,
        HTTP_PORT: String(callback.port),
        ADMIN_PORT: String(callback.adminPort),
        CLIENT_SERVICE_URL: clientUrl,
        CLIENT_SERVICE_ADMIN_URL: process.env['CLIENT_SERVICE_ADMIN_URL'] ?? `http://127.0.0.1:${client.adminPort}`,
        MIGRATE_ON_START: 'true',
        SPOOL_PATH: process.env['SPOOL_PATH'] ?? `${LOCAL}spool/callbacks.sqlite`,
        ...storeEnv(),
      }),
      log,
      onGivenUp,
    }),
    new LocalService({
      name: 'client-service',
      logPrefix: 'client',
      readyUrl: `${clientUrl}/`,
      env: () => ({
        ...shared,
        HTTP_HOST: hosts.client,
        HTTP_PORT: String(client.port),
        ADMIN_PORT: String(client.adminPort),
        CALLBACK_SERVICE_URL: callbackUrl,
        CALLBACK_SERVICE_KEY: emitterKey(process.env),
      }),
      log,
      onGivenUp,
    }),
  ]
}
