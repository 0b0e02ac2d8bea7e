import assert from 'node:assert/strict'
import type { PrismaClient } from '#prisma'
import { columns } from '../../../adapters/new-callback.ts'
import type { Database } from '../../../adapters/postgres/database.ts'
import { newCallback, newInbox } from './new-inbox.ts'

const FORGOTTEN = { code: 'storage_unavailable', message: /just now$/ }

describe('CallbackInbox, by what the database answers', () => {
  /** A database that gives these answers, one after the other, and none after that. */
  function inboxOn(answers: unknown[], changes: Parameters<typeof newInbox>[1] = {}) {
    const answer = (): Promise<unknown> => (answers.length > 0 ? Promise.resolve(answers.shift()) : new Promise(() => undefined))
    const prisma = { $queryRaw: answer, $executeRaw: answer } as unknown as PrismaClient
    return newInbox({ prisma } as Database, changes).inbox
  }

  const keyed = newCallback({ idempotencyKey: 'k' })

  it('does not accept a callback whose key was in the way and is forgotten by now: it may be sent again', async () => {
    const inbox = inboxOn([[{ received_at: null, ids: [] }], []])
    await assert.rejects(inbox.insert(keyed), FORGOTTEN)
  })

  it('does not take over a callback whose key was in the way and is forgotten by now: it is offered again', async () => {
    const inbox = inboxOn([0, []])
    await assert.rejects(inbox.takeOver([{ ...columns(keyed), received_ms: 1 }]), FORGOTTEN)
  })

  it('says so where there is no answer in time, and for what reason', async () => {
    const inbox = inboxOn([], { timeoutMs: 10 })
    await assert.rejects(
      inbox.insert(keyed),
      (error: Error & { code: string }) => error.code === 'storage_unavailable' && error.cause instanceof Error,
    )
  })

  it('says for what reason it takes no more', async () => {
    const inbox = inboxOn([], { maxWaiting: 0 })
    await assert.rejects(inbox.insert(keyed), (error: Error) => /too many/.test(error.message) && error.cause instanceof Error)
  })
})
