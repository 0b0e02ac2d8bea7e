import { existsSync, globSync } from 'node:fs'
import { chmod, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Paths of the library in Debian's package faketime and on other systems. */
const LIBRARIES = ['/usr/lib/*/faketime/libfaketime.so.1', '/usr/{lib,lib64,local/lib}/faketime/libfaketime.so.1']
const SHARED_MEMORY = '/dev/shm'

/** Whether this machine has libfaketime (https://github.com/wolfcw/libfaketime). */
export const CAN_STEP_CLOCKS = faketime() !== undefined

/** A clock that can step, for processes started with its environment. Monotonic clocks do not step. */
export class SteppableClock {
  readonly env: Readonly<Record<string, string>>
  readonly #file: string
  #offsetMs = 0

  private constructor(file: string) {
    this.#file = file
    this.env = {
      LD_PRELOAD: faketime() as string,
      FAKETIME_TIMESTAMP_FILE: file,
      // Processes read the file each time they ask for the time, so that all see a step at the same moment.
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    }
  }

  /** @param folder a folder in which the processes can read a file */
  static async start(folder: string): Promise<SteppableClock> {
    const clock = new SteppableClock(join(folder, 'clock'))
    await clock.step(0)
    return clock
  }

  /** Difference between this clock and the true time. */
  get offsetMs(): number {
    return this.#offsetMs
  }

  /** Steps the clock permanently. */
  async step(ms: number): Promise<void> {
    this.#offsetMs += ms
    const seconds = this.#offsetMs / 1000
    // The file is replaced in one step, because a process that reads an empty file would see the true time.
    await writeFile(`${this.#file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`)
    await chmod(`${this.#file}.new`, 0o644)
    await rename(`${this.#file}.new`, this.#file)
  }

  /** Deletes the shared memory that killed processes left behind. */
  async stop(): Promise<void> {
    for (const name of await readdir(SHARED_MEMORY)) {
      const pid = /^(?:sem\.)?faketime_(?:shm|sem)_(\d+)$/.exec(name)?.[1]
      if (pid !== undefined && !existsSync(`/proc/${pid}`)) await rm(join(SHARED_MEMORY, name), { force: true })
    }
  }
}

function faketime(): string | undefined {
  return process.platform === 'linux' ? globSync(LIBRARIES)[0] : undefined
}
