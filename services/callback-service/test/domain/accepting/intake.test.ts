import assert from 'node:assert/strict'
import { IdempotencyKeyReusedError, OverloadedError } from '../../../domain/accepting/accept-errors.ts'
import { type Identified, Intake, type IntakeOptions, type Spool } from '../../../domain/accepting/intake.ts'
import { KnownKeys } from '../../../domain/accepting/known-keys.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'

type Keep = (callback: Identified) => Promise<{ id: string; receivedAt: Date; isReplay: boolean }>

const takes: Keep = async ({ id }) => ({ id, receivedAt: new Date(0), isReplay: false })
const failing =
  (error: Error): Keep =>
  () =>
    Promise.reject(error)
const noting =
  (ids: string[]): Keep =>
  callback => {
    ids.push(callback.id)
    return takes(callback)
  }
const away = new StorageUnavailableError('away')
const full = new StorageUnavailableError('full')
const plain = { id: 'plain', workspace: 'default', idempotencyKey: undefined }
const first = { id: 'first', workspace: 'default', idempotencyKey: 'k' }
const rival = { id: 'rival', workspace: 'default', idempotencyKey: 'k' }

describe('Intake', () => {
  interface Setup {
    inbox?: Keep
    spool?: Partial<Spool<Identified>> | undefined
    keys?: KnownKeys
  }

  const setup = ({ inbox = takes, spool = {}, keys = newKeys() }: Setup = {}): Intake<Identified> =>
    new Intake({ inbox: { insert: inbox }, spool: { isInUse: false, append: takes, holdsRival: async () => false, ...spool }, keys })
  const newKeys = (): KnownKeys => new KnownKeys({ max: 10, forgetAfterMs: 1000, nowMs: () => 0 })
  const placeOf = async (intake: Intake<Identified>, callback = plain as Identified): Promise<string> =>
    (await intake.accept(callback)).durability

  it('keeps a callback in the database, and only there', async () => {
    const spool = { append: failing(new Error('asked')), holdsRival: () => assert.fail('asked') }
    assert.equal(await placeOf(setup({ spool })), 'database')
  })

  it('keeps it in the spool when the database cannot take it', async () => {
    assert.equal(await placeOf(setup({ inbox: failing(away) })), 'spooled')
  })

  it('queues a callback behind those in the spool, although the database may be back', async () => {
    assert.equal(await placeOf(setup({ spool: { isInUse: true } })), 'spooled')
  })

  it('tries the database if the spool is full', async () => {
    assert.equal(await placeOf(setup({ spool: { isInUse: true, append: failing(full) } })), 'database')
  })

  it('fails as not kept if the spool cannot take the callback either', async () => {
    await assert.rejects(setup({ inbox: failing(away), spool: { append: failing(full) } }).accept(plain), full)
    const withoutSpool: IntakeOptions<Identified> = { inbox: { insert: failing(away) }, spool: undefined, keys: newKeys() }
    await assert.rejects(new Intake(withoutSpool).accept(plain), away)
  })

  it('does not spool a callback after an overload, a refusal or a bug', async () => {
    for (const error of [new OverloadedError('too many'), new IdempotencyKeyReusedError(), new TypeError('a bug')]) {
      await assert.rejects(setup({ inbox: failing(error) }).accept(first), error)
    }
  })

  it('refuses a callback for the database while its rival waits in the spool', async () => {
    const asked: string[] = []
    const holdsRival = async ({ id }: Identified): Promise<boolean> => id === 'rival'
    const intake = setup({ inbox: noting(asked), spool: { holdsRival } })
    await assert.rejects(intake.accept(rival), IdempotencyKeyReusedError)
    assert.equal(await placeOf(intake, first), 'database')
    assert.deepEqual(asked, ['first'])
  })

  it('tries the spool first if it does not say in time what it holds', async () => {
    const holdsRival = async (): Promise<undefined> => undefined
    assert.equal(await placeOf(setup({ spool: { holdsRival } }), first), 'spooled')
    assert.equal(await placeOf(setup({ spool: { holdsRival, append: failing(full) } }), first), 'database')
  })

  it('remembers the key of a callback that the database took, but not of a replay', async () => {
    const keys = newKeys()
    await setup({ keys }).accept(first)
    assert.equal(keys.ownerOf('k'), 'first')
    const others = newKeys()
    await setup({ keys: others, inbox: async callback => ({ ...(await takes(callback)), isReplay: true }) }).accept(first)
    assert.equal(others.ownerOf('k'), undefined)
  })

  it('remembers nothing for a callback without a key', async () => {
    const keys = new KnownKeys({ max: 2, forgetAfterMs: 1000, nowMs: () => 0 })
    const intake = setup({ keys })
    await intake.accept(first)
    await intake.accept(plain)
    assert.equal(keys.ownerOf('k'), 'first')
  })

  it('does not make callbacks without a key wait for each other', async () => {
    const answer = Promise.withResolvers<void>()
    const inbox: Keep = async callback => {
      if (callback.id === 'slow') await answer.promise
      return takes(callback)
    }
    const intake = setup({ inbox })
    const slow = intake.accept({ ...plain, id: 'slow' })
    assert.equal((await intake.accept(plain)).id, 'plain')
    answer.resolve()
    assert.equal((await slow).id, 'slow')
  })

  describe('of callbacks with one key that come at once', () => {
    /** A database that answers when the test tells it to. */
    function slow() {
      const answer = Promise.withResolvers<void>()
      const asked: string[] = []
      const inbox: Keep = async callback => {
        asked.push(callback.id)
        if (callback.id === 'first') await answer.promise
        return takes(callback)
      }
      return { answer, asked, inbox }
    }

    it('keeps copies once, and calls all but the first replays', async () => {
      const { answer, asked, inbox } = slow()
      const intake = setup({ inbox })
      const copies = [first, first, first].map(copy => intake.accept(copy))
      answer.resolve()
      assert.deepEqual(
        (await Promise.all(copies)).map(({ id, isReplay }) => [id, isReplay]),
        [
          ['first', false],
          ['first', true],
          ['first', true],
        ],
      )
      assert.deepEqual(asked, ['first'])
    })

    it('makes a rival wait for the outcome of the first, so that they never go to two places', async () => {
      const { answer, asked, inbox } = slow()
      const spooled: string[] = []
      const spool = {
        isInUse: false,
        append: noting(spooled),
        holdsRival: async ({ id }: Identified) => spooled.some(other => other !== id),
      }
      const intake = setup({ inbox, spool })
      const one = intake.accept(first)
      const other = intake.accept(rival)
      answer.reject(away)
      assert.equal((await one).durability, 'spooled')
      await assert.rejects(other, IdempotencyKeyReusedError)
      assert.deepEqual([asked, spooled], [['first'], ['first']])
    })

    it('fails a rival as unknown if the outcome of the first is unknown', async () => {
      const { answer, inbox } = slow()
      const intake = setup({ inbox, spool: { append: failing(full) } })
      const both = [
        assert.rejects(intake.accept(first), full),
        assert.rejects(intake.accept(rival), { name: 'Error', code: 'storage_unavailable', cause: full }),
      ]
      answer.reject(away)
      await Promise.all(both)
      assert.equal(await placeOf(intake, rival), 'database')
    })

    it('accepts a rival if the first was refused', async () => {
      const { answer, inbox } = slow()
      const intake = setup({ inbox })
      const refused = assert.rejects(intake.accept(first), IdempotencyKeyReusedError)
      const other = intake.accept(rival)
      answer.reject(new IdempotencyKeyReusedError())
      await refused
      assert.equal((await other).id, 'rival')
    })
  })
})
