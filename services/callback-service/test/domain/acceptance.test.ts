import assert from 'node:assert/strict'
import { OverloadedError } from '../../domain/accept-errors.ts'
import { acceptDurably } from '../../domain/acceptance.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'

const kept = (id: string) => ({ id, receivedAt: new Date(0), isReplay: false })
const failing = (error: Error) => ({ accept: (): Promise<never> => Promise.reject(error) })

describe('acceptDurably', () => {
  const inbox = { accept: async (callback: string) => kept(`inbox ${callback}`) }
  const spool = { isInUse: false, accept: async (callback: string) => kept(`spool ${callback}`) }

  it('keeps a callback in the database, and only there', async () => {
    const { id, durability } = await acceptDurably('a', { inbox, spool })
    assert.deepEqual([id, durability], ['inbox a', 'database'])
  })

  it('keeps it in the spool when the database cannot take it', async () => {
    const { id, durability } = await acceptDurably('a', { inbox: failing(new StorageUnavailableError('away')), spool })
    assert.deepEqual([id, durability], ['spool a', 'spooled'])
  })

  it('goes behind what is in the spool already, though the database may be back', async () => {
    const { id, durability } = await acceptDurably('a', { inbox, spool: { ...spool, isInUse: true } })
    assert.deepEqual([id, durability], ['spool a', 'spooled'])
  })

  it('asks the database all the same when the spool is full', async () => {
    const full = { isInUse: true, ...failing(new StorageUnavailableError('full')) }
    const { id, durability } = await acceptDurably('a', { inbox, spool: full })
    assert.deepEqual([id, durability], ['inbox a', 'database'])
  })

  it('says that nothing was kept when the spool cannot take it either', async () => {
    const away = new StorageUnavailableError('away')
    const full = new StorageUnavailableError('full')
    await assert.rejects(acceptDurably('a', { inbox: failing(away), spool: { ...spool, ...failing(full) } }), full)
    await assert.rejects(acceptDurably('a', { inbox: failing(away), spool: undefined }), away)
  })

  it('spools nothing that the database refuses, or has no time for', async () => {
    for (const error of [new OverloadedError('too many'), new TypeError('a bug')]) {
      await assert.rejects(acceptDurably('a', { inbox: failing(error), spool }), error)
    }
  })
})
