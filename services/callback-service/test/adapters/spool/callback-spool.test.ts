import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import workerThreads from 'node:worker_threads'
import { eventually } from '../../../../../test/support/eventually.ts'
import { columns } from '../../../adapters/new-callback.ts'
import { CallbackSpool, type CallbackSpoolOptions } from '../../../adapters/spool/callback-spool.ts'
import { SpoolFile } from '../../../adapters/spool/spool-file.ts'
import { IdempotencyKeyReusedError, OverloadedError } from '../../../domain/accepting/accept-errors.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'
import { newCallback } from '../postgres/new-inbox.ts'
import { logger } from '../postgres/test-storage.ts'

describe('CallbackSpool', () => {
  let folder: string
  const opened: CallbackSpool[] = []

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'answerback-spool-'))
  })

  afterEach(async () => {
    for (const spool of opened.splice(0)) await spool.stop()
    await rm(folder, { recursive: true })
  })

  async function open(changes: Partial<CallbackSpoolOptions> = {}): Promise<CallbackSpool> {
    const spool = new CallbackSpool({
      path: join(folder, 'deep', 'spool.sqlite'),
      maxBytes: 2 ** 30,
      maxBatch: 256,
      maxWaiting: 5000,
      timeoutMs: 1800,
      nowMs: () => 1_000_000,
      ownerOf: () => undefined,
      onKept: () => undefined,
      logger,
      ...changes,
    })
    await spool.start()
    opened.push(spool)
    return spool
  }

  const idsOf = async (spool: CallbackSpool): Promise<string[]> => (await spool.oldest(1000)).map(row => row.id)

  it('has its callbacks after a restart, exact and in order', async () => {
    const spool = await open()
    const trace = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, baggage: 'k="ü 😀"' }
    const first = newCallback({ objectIds: [2n ** 63n - 1n, -(2n ** 63n), 3], idempotencyKey: 'k', requestId: 'r', trace })
    const others = Array.from({ length: 300 }, () => newCallback({ objectIds: [] }))
    await spool.append(first)
    await Promise.all(others.map(callback => spool.append(callback)))
    await spool.stop()
    const [row, ...rest] = await (await open()).oldest(1000)
    assert.deepEqual(
      { ...row },
      {
        seq: 1,
        id: first.id,
        workspace: 'default',
        object_ids: '{9223372036854775807,-9223372036854775808,3}',
        idempotency_key: 'k',
        request_id: 'r',
        traceparent: trace.traceparent,
        tracestate: null,
        baggage: trace.baggage,
        received_ms: 1_000_000,
      },
    )
    assert.deepEqual(
      rest.map(({ id }) => id),
      others.map(({ id }) => id),
    )
  })

  it('forgets callbacks up to the given one, and none that came later', async () => {
    const spool = await open()
    const [a, b, c] = [newCallback(), newCallback(), newCallback()]
    for (const callback of [a, b, c]) await spool.append(callback)
    await spool.forget((await spool.oldest(2)).at(-1)?.seq ?? 0)
    assert.deepEqual(await idsOf(spool), [c.id])
    assert.equal(spool.callbacks, 1)
  })

  it('answers copies under one idempotency key like the first callback, and refuses other ids under it', async () => {
    const spool = await open()
    const copies = Array.from({ length: 50 }, () => newCallback({ idempotencyKey: 'k' }))
    const answers = await Promise.all(copies.map(copy => spool.append(copy)))
    assert.equal(new Set(answers.map(({ id }) => id)).size, 1)
    assert.equal(answers.filter(({ isReplay }) => !isReplay).length, 1)
    assert.equal(spool.callbacks, 1)
    await assert.rejects(spool.append(newCallback({ idempotencyKey: 'k', objectIds: [9n] })), IdempotencyKeyReusedError)
  })

  it('refuses a callback whose key another one has in the database, and accepts copies of that one', async () => {
    const owner = newCallback({ idempotencyKey: 'k' })
    const spool = await open({ ownerOf: key => (key === 'k' ? owner.id : undefined) })
    const answers = await Promise.allSettled([
      spool.append(newCallback()),
      spool.append(newCallback({ idempotencyKey: 'k', objectIds: [9n] })),
      spool.append(owner),
      spool.append(newCallback({ idempotencyKey: 'other' })),
    ])
    assert.deepEqual(
      answers.map(answer => (answer.status === 'rejected' ? answer.reason.code : answer.value.isReplay)),
      [false, 'idempotency_key_reused', false, false],
    )
  })

  it('finds rivals among the callbacks that the database has not taken', async () => {
    const spool = await open()
    const rival = newCallback({ idempotencyKey: 'k', objectIds: [9n] })
    assert.equal(await spool.holdsRival(rival), false)
    await spool.append(newCallback({ idempotencyKey: 'k' }))
    assert.deepEqual([await spool.holdsRival(rival), await spool.holdsRival(newCallback({ idempotencyKey: 'k' }))], [true, false])
    await spool.append(newCallback())
    await spool.forget(1)
    assert.equal(await spool.holdsRival(rival), false)
  })

  it('is in use from the first callback that arrives until the last is gone', async () => {
    const spool = await open()
    assert.equal(spool.isInUse, false)
    const accepted = spool.append(newCallback())
    assert.equal(spool.isInUse, true)
    await accepted
    await spool.forget(1)
    assert.equal(spool.isInUse, false)
  })

  it('is not in use after the database has taken all that was there, although more arrived meanwhile, until the database fails again', async () => {
    const spool = await open()
    for (const callback of [newCallback(), newCallback(), newCallback()]) await spool.append(callback)
    await spool.forget((await spool.oldest(2)).at(-1)?.seq ?? 0)
    assert.equal(spool.isInUse, true)
    const rest = await spool.oldest(2)
    const { id } = await spool.append(newCallback())
    await spool.forget(rest.at(-1)?.seq ?? 0)
    assert.deepEqual([spool.isInUse, spool.callbacks, (await spool.find(id))?.id], [false, 1, id])
    await spool.append(newCallback())
    assert.equal(spool.isInUse, true)
  })

  it('refuses callbacks beyond its size, keeps what it has, and accepts more when that is gone', async () => {
    const spool = await open({ maxBytes: 100_000 })
    const large = () => newCallback({ objectIds: Array.from({ length: 1000 }, (_, i) => 1e15 + i) })
    let taken = 0
    await assert.rejects(async () => {
      for (; taken < 100; taken += 1) await spool.append(large())
    }, StorageUnavailableError)
    assert.equal((await idsOf(spool)).length, taken)
    await spool.forget(taken)
    await spool.append(large())
    assert.equal(spool.callbacks, 1)
  })

  it('refuses callbacks when too many are waiting', async () => {
    const spool = await open({ maxWaiting: 3, maxBatch: 1 })
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => spool.append(newCallback())))
    const refused = results.filter(result => result.status === 'rejected')
    assert.equal(refused.length, 6)
    assert.ok(refused.every(({ reason }) => reason instanceof OverloadedError))
    assert.equal(spool.callbacks, 4)
  })

  it('shows a callback to readers while it is here', async () => {
    const spool = await open()
    const { id } = await spool.append(newCallback({ objectIds: [7n, 2n ** 62n] }))
    const receivedAt = new Date(1_000_000)
    const nothing = { unstored: undefined, requestId: null, traceparent: null, finishedAt: null }
    const view = {
      id,
      workspace: 'default',
      state: 'pending',
      priority: 0,
      wish: null,
      attempts: 0,
      objectIds: [7n, 2n ** 62n],
      receivedAt,
      dueAt: receivedAt,
      ...nothing,
    }
    assert.deepEqual(await spool.find(id), view)
    assert.equal(await spool.find(newCallback().id), undefined)
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const { id: other } = await spool.append(newCallback({ objectIds: [], requestId: 'r', trace: { traceparent } }))
    assert.deepEqual(await spool.find(other), { ...view, id: other, objectIds: [], requestId: 'r', traceparent })
  })

  it('shows no callback that the database has, though a full or broken disk still holds it', async () => {
    const spool = await open()
    const { id } = await spool.append(newCallback())
    const notStorable = null as unknown as string
    spool.setAside(1, notStorable)
    await assert.rejects(spool.forget(1), StorageUnavailableError)
    assert.equal(spool.callbacks, 1)
    assert.equal(await spool.find(id), undefined)
  })

  it('has all callbacks that were under way when it was stopped', async () => {
    const spool = await open({ maxBatch: 1 })
    const callbacks = Array.from({ length: 20 }, () => newCallback())
    const accepted = callbacks.map(callback => spool.append(callback))
    await spool.stop()
    await Promise.all(accepted)
    assert.deepEqual(
      await idsOf(await open()),
      callbacks.map(({ id }) => id),
    )
  })

  it('reports new callbacks, but not copies and rivals', async () => {
    const kept: number[] = []
    const spool = await open({ onKept: (count, seconds) => kept.push(count) && assert.ok(seconds >= 0) })
    await spool.append(newCallback({ idempotencyKey: 'k' }))
    await spool.append(newCallback({ idempotencyKey: 'k' }))
    await assert.rejects(spool.append(newCallback({ idempotencyKey: 'k', objectIds: [9n] })), IdempotencyKeyReusedError)
    assert.deepEqual(kept, [1, 0, 0])
  })

  describe('what the database refused', () => {
    async function openWithRefused(): Promise<{ spool: CallbackSpool; bad: string; later: string }> {
      const spool = await open()
      const trace = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, baggage: 'k=v' }
      const { id: bad } = await spool.append(newCallback({ objectIds: [7n, 2n ** 62n], idempotencyKey: 'k', requestId: 'r', trace }))
      spool.setAside(1, 'not this one')
      await spool.forget(1)
      const { id: later } = await spool.append(newCallback())
      return { spool, bad, later }
    }

    it('is listed with the reason', async () => {
      const { spool, bad } = await openWithRefused()
      const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
      const ids = { id: bad, workspace: 'default', objectIds: [7n, 2n ** 62n], idempotencyKey: 'k', requestId: 'r', traceparent }
      assert.deepEqual(await spool.aside(10), [{ ...ids, reason: 'not this one', receivedAt: new Date(1_000_000) }])
    })

    it('has none of what it came without', async () => {
      const spool = await open()
      const { id } = await spool.append(newCallback({ objectIds: [] }))
      spool.setAside(1, 'not this one')
      await spool.forget(1)
      const nothing = { workspace: 'default', idempotencyKey: undefined, requestId: undefined, traceparent: undefined }
      assert.deepEqual(await spool.aside(10), [{ id, objectIds: [], reason: 'not this one', receivedAt: new Date(1_000_000), ...nothing }])
    })

    it('is given to the database again, behind the others, without what is named, and after a restart too', async () => {
      const { spool, bad, later } = await openWithRefused()
      assert.equal(await spool.putBack(bad, ['baggage']), 'default')
      assert.deepEqual([spool.callbacks, spool.setAsideCount, await idsOf(spool)], [2, 0, [later, bad]])
      const [, row] = await spool.oldest(10)
      assert.deepEqual([row?.baggage, row?.request_id, row?.idempotency_key], [null, 'r', 'k'])
      assert.equal(await spool.putBack(bad, []), undefined)
      await spool.stop()
      assert.deepEqual(await idsOf(await open()), [later, bad])
    })

    it('stays set aside while another callback has its key', async () => {
      const { spool, bad } = await openWithRefused()
      await spool.append(newCallback({ idempotencyKey: 'k', objectIds: [9n] }))
      await assert.rejects(spool.putBack(bad, []), IdempotencyKeyReusedError)
      assert.deepEqual([spool.callbacks, spool.setAsideCount], [2, 1])
    })

    it('is dropped permanently', async () => {
      const { spool, bad, later } = await openWithRefused()
      assert.equal((await spool.drop(bad))?.id, bad)
      assert.equal(await spool.drop(bad), undefined)
      assert.deepEqual([spool.setAsideCount, await spool.aside(10), await idsOf(spool)], [0, [], [later]])
    })
  })

  it('sets refused callbacks aside, so that they do not block others and stay on the disk', async () => {
    const spool = await open()
    const [bad, good] = [newCallback(), newCallback()]
    for (const callback of [bad, good]) await spool.append(callback)
    spool.setAside(1, 'not this one')
    await spool.forget(1)
    assert.deepEqual(await idsOf(spool), [good.id])
    await spool.forget(2)
    assert.equal(spool.callbacks, 0)
    await spool.stop()
    const again = await open()
    assert.deepEqual([again.callbacks, again.setAsideCount], [0, 1])
  })

  it('opens a file after another process has closed it, and finds its callbacks', async () => {
    const first = await open()
    const { id } = await first.append(newCallback())
    const second = await open()
    assert.match(second.problem ?? '', /cannot be opened: database is locked/)
    assert.deepEqual([second.isInUse, second.hasRoom], [false, false])
    await assert.rejects(second.append(newCallback()), StorageUnavailableError)
    await first.stop()
    await eventually('it is open', () => second.problem === undefined)
    assert.deepEqual(await idsOf(second), [id])
  })

  it('only reads a damaged file, and says so', async () => {
    const path = join(folder, 'damaged')
    const file = new SpoolFile({ path, maxBytes: 2 ** 30 })
    const callback = newCallback()
    file.append([{ ...columns(callback), received_ms: 1 }])
    file.close()
    const content = await readFile(path)
    // The last page of a small file belongs to an index.
    await writeFile(path, content.fill(0x5a, content.length - 4096))
    const spool = await open({ path })
    assert.match(spool.problem ?? '', /the spool is damaged/)
    assert.deepEqual([spool.isInUse, spool.hasRoom, spool.callbacks], [false, false, 1])
    await assert.rejects(spool.append(newCallback()), StorageUnavailableError)
    assert.equal(await spool.find(callback.id), undefined)
    assert.deepEqual(await idsOf(spool), [callback.id])
    await spool.forget(1)
    assert.equal(spool.callbacks, 0)
  })

  it('reopens the file when its thread ends, and returns its callbacks again', async () => {
    const { Worker } = workerThreads
    const threads: workerThreads.Worker[] = []
    workerThreads.Worker = class extends Worker {
      constructor(...options: ConstructorParameters<typeof Worker>) {
        super(...options)
        threads.push(this)
      }
    }
    syncBuiltinESMExports()
    try {
      const spool = await open()
      const { id } = await spool.append(newCallback())
      await spool.append(newCallback())
      await spool.forget((await spool.oldest(1)).at(-1)?.seq)
      await threads[0]?.terminate()
      assert.equal(spool.problem, 'the spool broke while it was open')
      await eventually('it is open', () => spool.problem === undefined)
      assert.equal(await spool.find(id), undefined)
      assert.equal((await spool.oldest(10)).length, 1)
    } finally {
      Object.assign(workerThreads, { Worker })
      syncBuiltinESMExports()
    }
  })

  it('does not change a file that is not a spool, and says so', async () => {
    const path = join(folder, 'text')
    const text = 'this is no database, and long enough to be told from an empty file '.repeat(20)
    await writeFile(path, text)
    const spool = await open({ path })
    assert.match(spool.problem ?? '', /cannot be opened: file is not a database/)
    await assert.rejects(spool.append(newCallback()), StorageUnavailableError)
    assert.equal(await readFile(path, 'utf8'), text)
  })
})
