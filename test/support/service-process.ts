import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { spawnService } from '../../deploy/local/spawn-service.ts'
import { until } from './eventually.ts'

/** Longest time of a start, on a machine that does much else. */
const START_MS = 30_000

/** One line of a service's log. */
export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

/** A service as its users run it: a process of its own, on free ports, its log kept. */
export class ServiceProcess {
  readonly log: LogLine[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>

  private constructor(file: string, env: Readonly<Record<string, string>>, root: string | undefined) {
    this.#child = spawnService(file, {
      env: { PATH: process.env['PATH'] ?? '', HTTP_PORT: '0', ADMIN_PORT: '0', HTTP_HOST: '127.0.0.1', ...env },
      root,
      stderr: 'inherit',
    })
    this.#exited = once(this.#child, 'exit')
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', line => this.log.push(parseLine(line)))
  }

  /**
   * Starts a service. Resolves when it logs that it has started.
   * @param root folder of its sources (default: this checkout)
   * @throws {Error} the service exits instead (the message has its log), or does not start in time
   */
  static start(name: string, env: Readonly<Record<string, string>>, root?: string): Promise<ServiceProcess> {
    return ServiceProcess.startFile(`services/${name}/main.ts`, env, root)
  }

  /** The same for a program that is no service of ours but runs like one. */
  static async startFile(file: string, env: Readonly<Record<string, string>>, root?: string): Promise<ServiceProcess> {
    const service = new ServiceProcess(file, env, root)
    try {
      await until(() => {
        if (service.hasEnded) throw new Error(`${file} exited:\n${service.log.map(line => JSON.stringify(line)).join('\n')}`)
        return service.log.some(line => line.msg === 'service started')
      }, START_MS)
    } catch (error) {
      await service.stop('SIGKILL')
      throw error
    }
    return service
  }

  get url(): string {
    return this.#address('http')
  }

  get adminUrl(): string {
    return this.#address('admin')
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get exitCode(): number | null {
    return this.#child.exitCode
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Resolves when the process has ended, for any reason. */
  get exited(): Promise<unknown> {
    return this.#exited
  }

  /** Resolves when the service is ready, which means that the database is there and migrated. */
  async ready(): Promise<this> {
    await until(async () => (await fetch(`${this.url}/readyz`)).ok, START_MS)
    return this
  }

  /** Sends a signal and waits for the end of the process. @returns the exit code; null if the signal itself ended the process */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (!this.hasEnded) {
      this.#child.kill(signal)
      await this.#exited
    }
    return this.#child.exitCode
  }

  /** Sends a signal and does not wait. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  #address(server: string): string {
    const line = this.log.find(candidate => candidate.msg === 'listening' && candidate['server'] === server)
    return `http://127.0.0.1:${line?.['port']}`
  }
}

/** Parses a log line. A killed process may leave an incomplete one. */
function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return { level: 'unknown', msg: line }
  }
}
