import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../ports.ts'

const RUN = fileURLToPath(new URL('../run.ts', import.meta.url))
const TIMEOUT_MS = 25_000

export interface MakeRun {
  readonly child: ChildProcess
  /** All that it has printed. */
  readonly log: () => string
}

export type RunPorts = Awaited<ReturnType<typeof freeRunPorts>>

export async function freeRunPorts() {
  return {
    CALLBACK_PORT: String(await freePort()),
    CALLBACK_ADMIN_PORT: String(await freePort()),
    CLIENT_PORT: String(await freePort()),
    CLIENT_ADMIN_PORT: String(await freePort()),
  }
}

/** The runs of `make run` that one test starts. */
export class MakeRuns {
  readonly #started: MakeRun[] = []

  start(env: Readonly<Record<string, string>>): MakeRun {
    const child = spawn(process.execPath, [RUN], { env: { ...process.env, ZIPKIN_URL: '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => {
        text += chunk
      })
    }
    const run = { child, log: () => text }
    this.#started.push(run)
    return run
  }

  /** Stops those that still run. */
  async stop(): Promise<void> {
    for (const { child } of this.#started.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
  }
}

/** Waits until a text matches. */
export async function until(read: () => string | Promise<string>, wanted: RegExp): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS
  while (!wanted.test(await read())) {
    if (performance.now() > deadline) throw new Error(`no ${wanted} in:\n${await read()}`)
    await sleep(20)
  }
}
