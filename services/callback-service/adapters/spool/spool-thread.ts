import { parentPort, workerData } from 'node:worker_threads'
import { SpoolFile, type SpoolState } from './spool-file.ts'

type Calls = Pick<SpoolFile, 'append' | 'oldest' | 'find' | 'areRivals' | 'forget' | 'aside' | 'putBack' | 'drop' | 'probe' | 'close'>

/** What the service asks of the thread: one of the file's methods. */
export type SpoolCall = {
  readonly [Name in keyof Calls]: { readonly name: Name; readonly argument: Parameters<Calls[Name]>[0] }
}[keyof Calls]

/** What comes back: the state first, once the file is open; then an answer a call, in order. */
export interface SpoolAnswer {
  readonly result?: unknown
  readonly error?: unknown
  readonly state?: SpoolState
}

/** The spool has a thread of its own, because a flush to the disk blocks whoever waits for it. */
const file = new SpoolFile(workerData)
tell({ state: file.state })
parentPort?.on('message', ({ name, argument }: SpoolCall) => {
  try {
    const result = (file[name] as (argument: unknown) => unknown).call(file, argument)
    tell(name === 'close' ? {} : { result, state: file.state })
  } catch (error) {
    tell({ error, state: file.state })
  }
  if (name === 'close') parentPort?.close()
})

function tell(answer: SpoolAnswer): void {
  parentPort?.postMessage(answer)
}
