import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import workerThreads from 'node:worker_threads'
import { SpoolConnection } from '../../../adapters/spool/spool-connection.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'

/** A thread that accepts calls and answers none. */
class SilentThread extends EventEmitter {
  postMessage(): void {}
}

describe('SpoolConnection', () => {
  const { Worker } = workerThreads
  let thread: SilentThread

  beforeEach(() => {
    Object.assign(workerThreads, {
      Worker: function silent() {
        thread = new SilentThread()
        return thread
      },
    })
    syncBuiltinESMExports()
  })

  afterEach(() => {
    Object.assign(workerThreads, { Worker })
    syncBuiltinESMExports()
  })

  it('fails all calls under way, and reports it once, when its thread ends', async () => {
    const broken: unknown[] = []
    const opening = SpoolConnection.open({ path: '', maxBytes: 1, onState: () => undefined, onBroken: error => broken.push(error) })
    thread.emit('message', { state: undefined })
    const connection = await opening
    const asked = [connection.call('oldest', { after: 0, limit: 1 }), connection.call('find', 'x')]
    thread.emit('error', new Error('out of memory'))
    thread.emit('exit', 1)
    for (const call of asked) await assert.rejects(call, StorageUnavailableError)
    await assert.rejects(connection.call('find', 'x'), StorageUnavailableError)
    assert.deepEqual(broken, [new Error('out of memory')])
  })
})
