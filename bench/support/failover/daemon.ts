import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'

export interface DaemonOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
}

/**
 * A program that runs until it is stopped, or until our process ends, because then the kernel sends it SIGTERM.
 * PostgreSQL refuses to run as root, so root runs it as the user `postgres`. Linux only.
 */
export class Daemon {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>

  constructor({ command, args, env, logFile }: DaemonOptions) {
    const log = openSync(logFile, 'a')
    const asPostgres = process.getuid?.() === 0 ? ['--reuid=postgres', '--regid=postgres', '--init-groups'] : []
    // The terminal's Ctrl-C must not reach it, because we decide the order in which processes end.
    this.#child = spawn('setpriv', ['--pdeathsig=TERM', ...asPostgres, '--', command, ...args], {
      cwd: '/',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC', ...env },
      detached: true,
      stdio: ['ignore', log, log],
    })
    this.#exited = once(this.#child, 'exit')
    closeSync(log)
  }

  get pid(): number {
    return this.#child.pid ?? Number.NaN
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Resolves when the program has ended. */
  get exited(): Promise<unknown> {
    return this.#exited
  }

  /** Ends the program cleanly, even if it was stopped with SIGSTOP. Safe to repeat. */
  async stop(): Promise<void> {
    if (this.hasEnded) return
    signalAll([this.pid], 'SIGCONT')
    signalAll([this.pid], 'SIGTERM')
    await this.#exited
  }
}

/** Sends a signal to each process that still exists. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** Lists the living children of a process. */
export function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
  return stdout.split('\n').filter(Boolean).map(Number)
}
