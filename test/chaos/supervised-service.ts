import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../support/eventually.ts'
import { ServiceProcess } from '../support/service-process.ts'

/** One process of a service, from its start to its end. Epoch milliseconds. */
export interface Life {
  readonly spawnedAtMs: number
  /** When it said that it is ready. */
  readyAtMs?: number
  endedAtMs?: number
  /** Whether it was ended by us, and how: what has no name here ended by itself. */
  end?: 'kill' | 'terminate'
}

export interface SupervisedServiceOptions {
  /** `callback-service` */
  readonly service: string
  /** Tells several of them apart. */
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  /** Where the sources are. */
  readonly root: string
  readonly readyPath: string
}

const RETRY_MS = 200
/** A little more than `shutdown.timeoutMs` of a service, after which it ends itself. */
const STOP_TIMEOUT_MS = 12_000

/** A service that is started anew at once whenever it ends, on another port each time. Keeps account of its lives. */
export class SupervisedService {
  readonly name: string
  readonly lives: Life[] = []
  /** What it said when it ended, or could not start, without being told to: nothing, if all is well. */
  readonly accidents: string[] = []
  readonly #options: SupervisedServiceOptions
  /** Settings for the lives to come, over its own. */
  override: Readonly<Record<string, string>> = {}
  #process: ServiceProcess | undefined
  #isStopping = false
  #kept: Promise<void> = Promise.resolve()

  constructor(options: SupervisedServiceOptions) {
    this.name = options.name
    this.#options = options
  }

  /** Resolves when it is ready; from then on it is kept alive. */
  async start(): Promise<void> {
    await (await this.#begin()).ready()
    this.#kept = this.#keepAlive()
  }

  /** Where it is in this life; undefined between two. */
  get url(): string | undefined {
    return this.#process?.url
  }

  /** Whether it has a process that nobody has told to end. */
  get isRunning(): boolean {
    return this.#process !== undefined && this.lives.at(-1)?.end === undefined
  }

  /** Its process, as soon as there is one that nobody has told to end. */
  running(): Promise<ServiceProcess> {
    return until(() => (this.isRunning ? this.#process : undefined), 30_000, `${this.name} runs`)
  }

  /** Now, and not in a moment: whoever calls this in a callback has it killed before anything else happens. */
  kill(): void {
    this.#end('kill', 'SIGKILL')
  }

  terminate(): void {
    this.#end('terminate', 'SIGTERM')
  }

  /** SIGTERM, and when its own deadline has passed, SIGKILL. */
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
    // A second SIGTERM would cut short the stop that the first one began.
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
    void noteReady(begun, readyPath, life)
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
