import { parentPort, workerData } from 'node:worker_threads'
import { SpoolFile, type SpoolState } from './spool-file.ts'

type Calls = Pick<SpoolFile, 'append' | 'oldest' | 'find' | 'areRivals' | 'forget' | 'aside' | 'putBack' | 'drop' | 'probe' | 'close'>

/** A message to the thread: a call of one of the file's methods. */
export type SpoolCall = {
  readonly [Name in keyof Calls]: { readonly name: Name; readonly argument: Parameters<Calls[Name]>[0] }
}[keyof Calls]

/** A message from the thread. The first one has the state of the open file. Then there is one answer for each call, in order. */
export interface SpoolAnswer {
  readonly result?: unknown
  readonly error?: unknown
  readonly state?: SpoolState
}

/** The spool has its own thread, because a flush to the disk blocks the thread that waits for it. */
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
