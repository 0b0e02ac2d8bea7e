import { setFlagsFromString } from 'node:v8'
import type { ProcessSchema, ProcessValues } from '../config/base-settings.ts'
import { ConfigError, helpText, type Schema } from '../config/schema.ts'
import { Settings, type SettingsOptions } from '../config/settings.ts'
import { createLogger, type Logger } from '../telemetry/logger.ts'
import { Lifecycle, type Part } from './parts.ts'

/** Growth of the old generation after which V8 collects it. By default it may treble first, and resident memory never shrinks again. */
const HEAP_GROWING_PERCENT = 60

export interface ServiceContext<S extends Schema> {
  readonly settings: Settings<S>
  readonly logger: Logger
}

/**
 * Runs one service as a process: it reads the settings, starts the parts, handles signals, and stops with an exit code.
 *
 * Exit codes: 0 after a clean stop by SIGTERM or SIGINT; 1 after a crash, a failed start, or a missed `shutdown.timeoutMs`; 2 for wrong
 * settings. A second signal of either kind ends the process at once. An uncaught exception is logged and ends the process. That is safe,
 * because everything accepted is on a disk.
 */
export async function run<S extends ProcessSchema>(options: {
  readonly name: string
  readonly schema: S
  readonly check?: SettingsOptions<S>['check']
  readonly parts: (context: ServiceContext<S>) => readonly Part[]
}): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`)
  // With this variable NodeSDK logs to the console. Our log is JSON lines, and `log.level` rules it.
  delete process.env['OTEL_LOG_LEVEL']
  const settings = readSettings(options)
  const { log, shutdown } = settings.current as unknown as ProcessValues
  const logger = await createLogger(options.name, log.level)
  settings.onChange(next => {
    logger.level = (next as unknown as ProcessValues).log.level
  })
  const lifecycle = new Lifecycle(
    options.parts({ settings, logger }),
    (part, error) => logger.error({ part, err: error }, 'part did not stop cleanly'),
    (part, error) => {
      logger.fatal({ part, err: error }, error instanceof Error ? error.message : 'service could not start')
      exitLate({ lifecycle, logger, timeoutMs: shutdown.timeoutMs })
    },
  )

  crashOn('uncaughtException', logger)
  crashOn('unhandledRejection', logger)
  let isStopping = false
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isStopping) exitNow(logger, signal)
    isStopping = true
    logger.info({ signal }, 'service stopping')
    void stopAndExit({ lifecycle, logger, timeoutMs: shutdown.timeoutMs })
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)

  try {
    await lifecycle.start()
    logger.info({ pid: process.pid, node: process.version }, 'service started')
  } catch {
    process.exit(1)
  }
}

function readSettings<S extends Schema>(options: { name: string; schema: S; check?: SettingsOptions<S>['check'] }): Settings<S> {
  const { name, schema, check } = options
  const argv = process.argv.slice(2)
  if (argv.includes('--help')) {
    process.stdout.write(helpText(`node services/${name}/main.ts`, schema))
    process.exit(0)
  }
  try {
    return new Settings(schema, { argv, env: process.env, check })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${name}: ${error.message.replaceAll('\n', `\n${name}: `)}\n`)
    process.exit(2)
  }
}

function crashOn(event: 'uncaughtException' | 'unhandledRejection', logger: Logger): void {
  process.on(event as 'uncaughtException', (error: unknown) => {
    logger.fatal({ err: error, event }, 'service crashed')
    process.exit(1)
  })
}

interface Stopping {
  readonly lifecycle: Lifecycle
  readonly logger: Logger
  readonly timeoutMs: number
}

async function stopAndExit(stopping: Stopping): Promise<void> {
  const { lifecycle, logger } = stopping
  exitLate(stopping)
  const isClean = await lifecycle.stop().then(
    () => true,
    () => false,
  )
  logger.info('service stopped')
  process.exit(isClean ? 0 : 1)
}

/** Ends the process in `timeoutMs`, even if a part hangs. */
function exitLate({ lifecycle, logger, timeoutMs }: Stopping): void {
  setTimeout(() => {
    logger.error({ timeout_ms: timeoutMs, still_stopping: lifecycle.stillStopping }, 'service did not stop in time')
    process.exit(1)
  }, timeoutMs)
}

function exitNow(logger: Logger, signal: string): never {
  logger.warn({ signal }, 'second signal, exiting now')
  process.exit(1)
}
