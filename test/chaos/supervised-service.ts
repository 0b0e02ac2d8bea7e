import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../support/eventually.ts'
import { ServiceProcess } from '../support/service-process.ts'

/** One process of a service, from its start to its end. Times are epoch milliseconds. */
export interface Life {
  readonly spawnedAtMs: number
  /** When the service first said that it was ready. */
  readyAtMs?: number
  endedAtMs?: number
  /** How the test ended the process; undefined if it ended by itself or still runs. */
  end?: 'kill' | 'terminate'
}

export interface SupervisedServiceOptions {
  /** `callback-service` */
  readonly service: string
  /** Name of this instance, such as `replica-0`. */
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  /** Folder of the sources. */
  readonly root: string
  /** Path that tells whether it is ready (default: it counts as ready when it has started). */
  readonly readyPath?: string
}

const RETRY_MS = 200
/** A little more than `shutdown.timeoutMs` of a service, after which it ends itself. */
const STOP_TIMEOUT_MS = 12_000

/** A service that is started again as soon as it ends, on another port each time. It records the life of each process. */
export class SupervisedService {
  readonly name: string
  readonly lives: Life[] = []
  /** The last log lines of processes that ended by themselves, and errors of failed starts. Empty if all is well. */
  readonly accidents: string[] = []
  readonly #options: SupervisedServiceOptions
  /** Settings that override its own in later processes. */
  override: Readonly<Record<string, string>> = {}
  #process: ServiceProcess | undefined
  #isStopping = false
  #kept: Promise<void> = Promise.resolve()

  constructor(options: SupervisedServiceOptions) {
    this.name = options.name
    this.#options = options
  }

  /** Starts the service. Resolves when it is ready; from then on it is kept alive. */
  async start(): Promise<void> {
    const begun = await this.#begin()
    if (this.#options.readyPath !== undefined) await begun.ready()
    this.#kept = this.#keepAlive()
  }

  /** The URL of the current process; undefined while there is none. */
  get url(): string | undefined {
    return this.#process?.url
  }

  /** Whether there is a process that the test has not told to end. */
  get isRunning(): boolean {
    return this.#process !== undefined && this.lives.at(-1)?.end === undefined
  }

  /** Resolves with the process, as soon as there is one that the test has not told to end. */
  running(): Promise<ServiceProcess> {
    return until(() => (this.isRunning ? this.#process : undefined), 30_000, `${this.name} runs`)
  }

  /** Kills the process synchronously. A caller in an event handler can rely on the kill before the next event. */
  kill(): void {
    this.#end('kill', 'SIGKILL')
  }

  terminate(): void {
    this.#end('terminate', 'SIGTERM')
  }

  /** Stops the service with SIGTERM, and with SIGKILL after its own deadline. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#process?.signal('SIGCONT')
    this.#process?.signal('SIGTERM')
    const deadline = setTimeout(() => this.#process?.signal('SIGKILL'), STOP_TIMEOUT_MS)
    await this.#kept
    await this.#process?.stop()
    clearTimeout(deadline)
  }

  #end(end: 'kill' | 'terminate', signal: NodeJS.Signals): void {
    const life = this.lives.at(-1)
    // A second SIGTERM would interrupt the stop that the first one began.
    if (!this.#process || !life || (end === 'terminate' && life.end === end)) return
    life.end = end
    if (end === 'kill') life.endedAtMs = Date.now()
    this.#process.signal(signal)
  }

  async #begin(): Promise<ServiceProcess> {
    const { service, env, root, readyPath } = this.#options
    const life: Life = { spawnedAtMs: Date.now() }
    this.lives.push(life)
    const begun = await ServiceProcess.start(service, { ...env, ...this.override }, root)
    this.#process = begun
    if (readyPath !== undefined) void noteReady(begun, readyPath, life)
    return begun
  }

  async #keepAlive(): Promise<void> {
    while (!this.#isStopping) {
      if (this.#process) {
        await this.#process.exited
        this.#noteEnd()
        this.#process = undefined
        continue
      }
      try {
        await this.#begin()
      } catch (error) {
        this.accidents.push(`${this.name} did not start: ${error}`)
        await sleep(RETRY_MS)
      }
    }
  }

  #noteEnd(): void {
    const life = this.lives.at(-1)
    if (!life || this.#isStopping) return
    life.endedAtMs ??= Date.now()
    const { exitCode = null, log = [] } = this.#process ?? {}
    if (life.end === 'kill' || (life.end === 'terminate' && exitCode === 0)) return
    const lastWords = log.slice(-3).map(line => JSON.stringify(line))
    this.accidents.push([`${this.name} ended with exit code ${exitCode} (${life.end ?? 'by itself'}):`, ...lastWords].join('\n'))
  }
}

async function noteReady(service: ServiceProcess, path: string, life: Life): Promise<void> {
  while (!service.hasEnded) {
    const isReady = await fetch(`${service.url}${path}`, { signal: AbortSignal.timeout(1000) }).then(
      async response => (await response.text()) !== undefined && response.ok,
      () => false,
    )
    if (isReady) {
      life.readyAtMs = Date.now()
      return
    }
    await sleep(10)
  }
}
