import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'
import workerThreads from 'node:worker_threads'
import { pino } from 'pino'
import { CallbackSpool, type CallbackSpoolOptions } from '../../../adapters/spool/callback-spool.ts'
import type { SpoolState } from '../../../adapters/spool/spool-file.ts'
import { OverloadedError } from '../../../domain/accepting/accept-errors.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'
import { newCallback } from '../postgres/new-inbox.ts'

const WELL: SpoolState = { callbacks: 0, setAside: 0, bytes: 4096, problem: undefined, isDamaged: false }

/** A thread that the test answers for. */
class TestThread extends EventEmitter {
  readonly asked: string[] = []

  postMessage({ name }: { name: string }): void {
    this.asked.push(name)
  }

  answer(answer: { result?: unknown; error?: Error }, state: Partial<SpoolState> = {}): void {
    this.emit('message', { ...answer, state: { ...WELL, ...state } })
  }
}

describe('CallbackSpool, with a file in trouble', () => {
  const { Worker } = workerThreads
  let threads: TestThread[]
  let lines: { reason?: string }[]
  let spool: CallbackSpool

  beforeEach(() => {
    threads = []
    lines = []
    Object.assign(workerThreads, {
      Worker: function thread() {
        const made = new TestThread()
        threads.push(made)
        return made
      },
    })
    syncBuiltinESMExports()
    mock.timers.enable({ apis: ['setTimeout'] })
  })

  afterEach(() => {
    mock.timers.reset()
    Object.assign(workerThreads, { Worker })
    syncBuiltinESMExports()
  })

  const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

  async function pass(ms: number): Promise<void> {
    mock.timers.tick(ms)
    await turn()
  }

  function create(changes: Partial<CallbackSpoolOptions> = {}): void {
    spool = new CallbackSpool({
      path: 'spool.sqlite',
      maxBytes: 8192,
      maxBatch: 1,
      maxWaiting: 1,
      timeoutMs: 50,
      nowMs: () => 1,
      ownerOf: () => undefined,
      onKept: () => undefined,
      logger: pino({ level: 'warn' }, { write: line => lines.push(JSON.parse(line)) }),
      ...changes,
    })
  }

  /** @returns the thread of a spool that is open */
  async function open(state: Partial<SpoolState> = {}): Promise<TestThread> {
    create()
    const started = spool.start()
    const thread = threads[0] as TestThread
    thread.answer({}, state)
    await started
    await turn()
    return thread
  }

  it('has nothing and is of no use before it is open', async () => {
    create()
    const { callbacks, setAsideCount, bytes, problem, isInUse, hasRoom } = spool
    assert.deepEqual(
      { callbacks, setAsideCount, bytes, problem, isInUse, hasRoom },
      { callbacks: 0, setAsideCount: 0, bytes: 0, problem: 'not open yet', isInUse: false, hasRoom: false },
    )
    assert.deepEqual([await spool.holdsRival(newCallback()), await spool.find('x')], [false, undefined])
    await assert.rejects(spool.oldest(1), { code: 'storage_unavailable', message: 'the spool is closed' })
    await spool.stop()
  })

  it('is asked nothing while it is known to be empty', async () => {
    const thread = await open()
    assert.deepEqual([await spool.holdsRival(newCallback()), await spool.find('x')], [false, undefined])
    assert.deepEqual(thread.asked, [])
  })

  it('has room up to its bytes', async () => {
    const thread = await open({ bytes: 8191 })
    assert.equal(spool.hasRoom, true)
    thread.answer({}, { bytes: 8192 })
    assert.deepEqual([spool.hasRoom, spool.bytes], [false, 8192])
  })

  it('tries every second whether it can be written again, while it cannot', async () => {
    const thread = await open({ problem: 'the spool cannot be used: disk full' })
    assert.equal(spool.hasRoom, false)
    await pass(999)
    assert.deepEqual(thread.asked, [])
    await pass(1)
    assert.deepEqual(thread.asked, ['probe'])
    thread.answer({})
    assert.deepEqual([spool.problem, spool.hasRoom], [undefined, true])
    await turn()
    await pass(1000)
    assert.deepEqual(thread.asked, ['probe'])
  })

  it('is not tried where its file is damaged, which the log says once', async () => {
    const damaged = { problem: 'the spool is damaged: page 7', isDamaged: true, callbacks: 1 }
    const thread = await open(damaged)
    thread.answer({}, damaged)
    await pass(1000)
    assert.deepEqual([thread.asked, await spool.find('x')], [[], undefined])
    assert.deepEqual(
      lines.map(({ reason }) => reason),
      ['the spool is damaged: page 7'],
    )
  })

  it('is opened again within a second when its thread ends', async () => {
    const thread = await open()
    thread.emit('exit', 1)
    assert.match(spool.problem ?? '', /broke while it was open$/)
    await assert.rejects(spool.append(newCallback()), StorageUnavailableError)
    await pass(1000)
    threads[1]?.answer({}, { callbacks: 1 })
    await turn()
    assert.deepEqual([threads.length, spool.problem, spool.isInUse], [2, undefined, true])
  })

  it('starts though its file cannot be opened, says why, and opens it when it can be', async () => {
    create()
    const started = spool.start()
    threads[0]?.emit('error', new Error('database is locked'))
    await started
    assert.equal(spool.problem, 'the spool spool.sqlite cannot be opened: database is locked')
    await turn()
    await pass(1000)
    threads[1]?.answer({})
    await turn()
    assert.equal(spool.problem, undefined)
  })

  it('says so where the disk does not answer in time', async () => {
    await open()
    const accepted = spool.append(newCallback())
    const rejected = assert.rejects(accepted, { code: 'storage_unavailable', message: 'the spool did not answer in time' })
    await turn()
    const now = mock.method(performance, 'now', () => Number.MAX_SAFE_INTEGER)
    mock.timers.tick(50)
    now.mock.restore()
    await rejected
  })

  it('refuses what would wait behind too many, and counts what is on its way', async () => {
    const thread = await open()
    const [first, second] = [spool.append(newCallback()), spool.append(newCallback())]
    await assert.rejects(spool.append(newCallback()), (error: Error) => error instanceof OverloadedError && error.cause instanceof Error)
    assert.deepEqual([spool.callbacks, spool.isInUse], [2, true])
    for (const accepted of [first, second]) {
      await turn()
      thread.answer({ result: [{ id: 'x', receivedMs: 1, isReplay: false }] })
      assert.deepEqual(await accepted, { id: 'x', receivedAt: new Date(1), isReplay: false })
    }
    assert.deepEqual([spool.callbacks, spool.isInUse], [0, false])
  })

  for (const [what, answer] of [
    ['it cannot be read', (thread: TestThread) => thread.answer({ error: new Error('disk I/O error') }, { callbacks: 1 })],
    [
      'it does not answer in time',
      () => {
        const now = mock.method(performance, 'now', () => Number.MAX_SAFE_INTEGER)
        mock.timers.tick(100)
        now.mock.restore()
      },
    ],
  ] as [string, (thread: TestThread) => void][]) {
    it(`does not know whether it holds a rival while ${what}`, async () => {
      const thread = await open({ callbacks: 1 })
      const holds = spool.holdsRival(newCallback({ idempotencyKey: 'k' }))
      await turn()
      assert.deepEqual(thread.asked, ['areRivals'])
      answer(thread)
      assert.equal(await holds, undefined)
    })
  }

  it('hides no bug behind a question that nobody can answer', async () => {
    await open({ callbacks: 1 })
    await assert.rejects(spool.holdsRival(undefined as never), TypeError)
  })
})
