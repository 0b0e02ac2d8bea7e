import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { NODE_FLAGS } from '../../deploy/local/node-flags.ts'
import { until } from './eventually.ts'

/** One line of a service's log. */
export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** A service as its users run it: a process of its own, on free ports, its log kept. */
export class ServiceProcess {
  readonly log: LogLine[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>

  private constructor(file: string, env: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [...NODE_FLAGS, file], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'] ?? '', HTTP_PORT: '0', ADMIN_PORT: '0', HTTP_HOST: '127.0.0.1', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#exited = once(this.#child, 'exit')
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', line => this.log.push(JSON.parse(line) as LogLine))
  }

  /** Resolves when the service says that it has started. @throws {Error} with its log when it exits instead */
  static start(name: string, env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
    return ServiceProcess.startFile(`services/${name}/main.ts`, env)
  }

  /** The same for a program that is no service of ours but runs like one. */
  static async startFile(file: string, env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
    const service = new ServiceProcess(file, env)
    await until(() => {
      if (service.#child.exitCode !== null) throw new Error(`${file} exited:\n${service.log.map(line => JSON.stringify(line)).join('\n')}`)
      return service.log.some(line => line.msg === 'service started')
    })
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

  /** Resolves when it says that it is ready: the database is there and migrated. */
  async ready(): Promise<this> {
    await until(async () => (await fetch(`${this.url}/readyz`)).ok)
    return this
  }

  /** Sends a signal and waits for the end. @returns the exit code; null when the signal itself ended it */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill(signal)
      await this.#exited
    }
    return this.#child.exitCode
  }

  /** Sends a signal that does not end it. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  #address(server: string): string {
    const line = this.log.find(candidate => candidate.msg === 'listening' && candidate['server'] === server)
    return `http://127.0.0.1:${line?.['port']}`
  }
}
