import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NODE_FLAGS } from './node-flags.ts'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const END_WITH_PARENT = new URL('end-with-parent.ts', import.meta.url).href
/** Node keeps compiled modules here. A start takes half the CPU time when they are found; a folder that all may write would let others plant code. */
export const COMPILE_CACHE = join(ROOT, 'node_modules', '.cache', 'compile')

interface SpawnOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The folder that holds `services`, if it is not this checkout. */
  readonly root?: string | undefined
  /** Whether the terminal's Ctrl-C passes it by. */
  readonly detached?: boolean
  readonly stderr: 'pipe' | 'inherit'
}

/** Starts a service as a process of its own, as it runs in production. It ends when this process does, however this one ends. */
export function spawnService(file: string, { env, root = ROOT, detached = false, stderr }: SpawnOptions): ChildProcess {
  return spawn(process.execPath, [...NODE_FLAGS, '--import', END_WITH_PARENT, file], {
    cwd: root,
    env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
    detached,
    stdio: ['ignore', 'pipe', stderr, 'ipc'],
  })
}
