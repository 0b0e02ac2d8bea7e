import { Worker } from 'node:worker_threads'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import type { SpoolState } from './spool-file.ts'
import type { SpoolAnswer, SpoolCall } from './spool-thread.ts'

export interface SpoolConnectionOptions {
  readonly path: string
  readonly maxBytes: number
  /** Called with the state of the file when it is open, and with each answer. */
  readonly onState: (state: SpoolState) => void
  /** Called if the thread ends by itself. All calls under way have failed by then. */
  readonly onBroken: (error: unknown) => void
}

/** A connection to the thread that has the spool's file open. A call runs one of the file's methods there. The answers come in order. */
export class SpoolConnection {
  readonly #thread: Worker
  readonly #calls: { readonly resolve: (result: unknown) => void; readonly reject: (error: unknown) => void }[] = []
  #hasEnded = false

  /** Starts the thread, which opens the file. @throws {Error} the file cannot be opened */
  static open(options: SpoolConnectionOptions): Promise<SpoolConnection> {
    const { path, maxBytes, onState } = options
    const thread = new Worker(new URL('./spool-thread.ts', import.meta.url), { workerData: { path, maxBytes }, stderr: true })
    return new Promise((resolve, reject) => {
      thread.once('error', reject)
      thread.once('message', ({ state }: SpoolAnswer) => {
        thread.off('error', reject)
        if (state) onState(state)
        resolve(new SpoolConnection(thread, options))
      })
    })
  }

  private constructor(thread: Worker, { onState, onBroken }: SpoolConnectionOptions) {
    this.#thread = thread
    thread.on('message', ({ result, error, state }: SpoolAnswer) => {
      if (state) onState(state)
      const call = this.#calls.shift()
      if (error) call?.reject(unavailable(error))
      else call?.resolve(result)
    })
    const end = (error: unknown): void => {
      if (this.#hasEnded) return
      this.#hasEnded = true
      for (const call of this.#calls.splice(0)) call.reject(unavailable(error))
      onBroken(error)
    }
    thread.on('error', end)
    thread.on('exit', code => end(new Error(`its thread ended with ${code}`)))
  }

  /** Runs a method of the file in the thread. @throws {StorageUnavailableError} the method failed, or the thread has ended */
  call<Name extends SpoolCall['name']>(name: Name, argument: Extract<SpoolCall, { name: Name }>['argument']): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#hasEnded) return reject(unavailable(new Error('it is closed')))
      this.#calls.push({ resolve, reject })
      this.#thread.postMessage({ name, argument })
    })
  }

  async close(): Promise<void> {
    await this.call('close', undefined)
    this.#hasEnded = true
  }
}

function unavailable(error: unknown): StorageUnavailableError {
  return new StorageUnavailableError(`the spool cannot be used: ${(error as Error).message}`, { cause: error })
}
