import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import workerThreads from 'node:worker_threads'
import { SpoolConnection } from '../../../adapters/spool/spool-connection.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'

/** A thread that accepts calls and answers none. */
class SilentThread extends EventEmitter {
  readonly asked: unknown[] = []
  readonly options: object

  constructor(options: object) {
    super()
    this.options = options
  }

  postMessage(call: unknown): void {
    this.asked.push(call)
  }
}

describe('SpoolConnection', () => {
  const { Worker } = workerThreads
  let thread: SilentThread
  let broken: unknown[]
  let states: unknown[]

  beforeEach(() => {
    broken = []
    states = []
    Object.assign(workerThreads, {
      Worker: function silent(_file: URL, options: object) {
        thread = new SilentThread(options)
        return thread
      },
    })
    syncBuiltinESMExports()
  })

  afterEach(() => {
    Object.assign(workerThreads, { Worker })
    syncBuiltinESMExports()
  })

  async function open(state?: object): Promise<SpoolConnection> {
    const opening = SpoolConnection.open({
      path: '',
      maxBytes: 1,
      onState: known => states.push(known),
      onBroken: error => broken.push(error),
    })
    thread.emit('message', { state })
    return opening
  }

  it('fails what was asked, and says so once, when its thread ends', async () => {
    const connection = await open()
    const asked = [connection.call('oldest', { after: 0, limit: 1 }), connection.call('find', 'x')]
    thread.emit('error', new Error('out of memory'))
    thread.emit('exit', 1)
    for (const call of asked) await assert.rejects(call, { code: 'storage_unavailable', cause: new Error('out of memory') })
    await assert.rejects(connection.call('find', 'x'), StorageUnavailableError)
    assert.deepEqual(broken, [new Error('out of memory')])
  })

  it('gives its thread the file and its bound, and keeps what that writes to itself', async () => {
    await open()
    assert.deepEqual(thread.options, { workerData: { path: '', maxBytes: 1 }, stderr: true })
  })

  it('is not opened where its thread cannot open the file', async () => {
    const opening = SpoolConnection.open({ path: '', maxBytes: 1, onState: () => undefined, onBroken: error => broken.push(error) })
    thread.emit('error', new Error('database is locked'))
    await assert.rejects(opening, /^Error: database is locked$/)
    assert.deepEqual(broken, [])
  })

  it('gives each call its answer, in order, and tells the state that comes with one', async () => {
    const connection = await open({ bytes: 1 })
    const asked = [connection.call('find', 'x'), connection.call('drop', 'y'), connection.call('find', 'z')]
    assert.deepEqual(thread.asked, [
      { name: 'find', argument: 'x' },
      { name: 'drop', argument: 'y' },
      { name: 'find', argument: 'z' },
    ])
    thread.emit('message', { result: 'x was found', state: { bytes: 2 } })
    thread.emit('message', { error: new Error('disk I/O error') })
    thread.emit('message', { result: 'z was found' })
    assert.deepEqual([await asked[0], await asked[2]], ['x was found', 'z was found'])
    await assert.rejects(asked[1] as Promise<unknown>, { message: 'the spool cannot be used: disk I/O error' })
    assert.deepEqual(states, [{ bytes: 1 }, { bytes: 2 }])
  })

  it('is closed without a word, and takes no calls from then on', async () => {
    const connection = await open()
    const closed = connection.close()
    thread.emit('message', {})
    await closed
    thread.emit('exit', 0)
    await assert.rejects(connection.call('find', 'x'), StorageUnavailableError)
    assert.deepEqual([broken, states], [[], []])
  })

  it('is broken when its thread ends by itself, also without an error', async () => {
    const connection = await open()
    const asked = connection.call('find', 'x')
    thread.emit('exit', 7)
    await assert.rejects(asked, { message: 'the spool cannot be used: its thread ended with 7' })
    assert.deepEqual(broken, [new Error('its thread ended with 7')])
  })
})
