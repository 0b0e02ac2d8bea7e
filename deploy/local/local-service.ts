import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { keepAlive } from './keep-alive.ts'
import type { LogView } from './log-view.ts'
import { SetupError } from './setup-error.ts'
import { spawnService } from './spawn-service.ts'

const READY_TIMEOUT_MS = 30_000
const READY_POLL_MS = 25
/** A little more than `shutdown.timeoutMs`, after which a service ends itself. */
const STOP_TIMEOUT_MS = 12_000

export interface LocalServiceOptions {
  /** The folder below services/, and the name in messages: `callback-service`. */
  readonly name: string
  readonly logPrefix: string
  /** Called at every start. */
  readonly env: () => Readonly<Record<string, string | undefined>>
  /** URL that answers 200 when the service can work. */
  readonly readyUrl: string
  readonly log: LogView
  /** Called when it has died too often. It then stays down. */
  readonly onGivenUp: (error: SetupError) => void
}

/**
 * Runs one service as a process of its own. The terminal's Ctrl-C does not reach it: its starter decides when it stops.
 * If it dies unexpectedly after it was ready, it is restarted with the same settings, a few times a minute.
 */
export class LocalService implements Part {
  readonly name: string
  readonly #options: LocalServiceOptions
  #child: ChildProcess | undefined
  #exited: Promise<string> = Promise.resolve('')
  #isStopping = false

  constructor(options: LocalServiceOptions) {
    this.name = options.name
    this.#options = options
  }

  /** @throws {SetupError} it ended, or was not ready within half a minute; its log says why */
  async start(): Promise<void> {
    this.#spawn()
    const deadline = performance.now() + READY_TIMEOUT_MS
    while (!(await this.#isReady())) {
      if (!this.#child) throw new SetupError('service_failed', `${this.name} ended before it was ready (${await this.#exited})`)
      if (performance.now() > deadline)
        throw new SetupError(
          'service_failed',
          `${this.name} is not ready after ${READY_TIMEOUT_MS / 1000} s: ${this.#options.readyUrl} says why`,
        )
      await sleep(READY_POLL_MS)
    }
    void keepAlive({
      name: this.name,
      ended: () => this.#exited,
      restart: () => this.#spawn(),
      isStopping: () => this.#isStopping,
      say: line => this.#options.log.say(line),
      onGivenUp: this.#options.onGivenUp,
    })
  }

  /** Sends SIGTERM, and SIGKILL after its own deadline. Resolves when it has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#child?.kill('SIGTERM')
    const deadline = setTimeout(() => this.kill(), STOP_TIMEOUT_MS)
    await this.#exited
    clearTimeout(deadline)
  }

  kill(): void {
    this.#isStopping = true
    this.#child?.kill('SIGKILL')
  }

  #spawn(): void {
    const { name, logPrefix, env, log } = this.#options
    const child = spawnService(`services/${name}/main.ts`, { env: env(), detached: true, stderr: 'pipe' })
    this.#child = child
    if (child.stdout) log.follow(logPrefix, child.stdout)
    if (child.stderr) log.follow(logPrefix, child.stderr)
    this.#exited = new Promise(resolve => {
      child.once('exit', (code, signal) => {
        this.#child = undefined
        resolve(signal ?? `exit code ${code}`)
      })
    })
  }

  async #isReady(): Promise<boolean> {
    try {
      const response = await fetch(this.#options.readyUrl, { signal: AbortSignal.timeout(1000) })
      await response.arrayBuffer()
      return response.ok
    } catch {
      // The service does not listen yet.
      return false
    }
  }
}
