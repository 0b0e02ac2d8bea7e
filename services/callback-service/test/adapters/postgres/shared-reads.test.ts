import assert from 'node:assert/strict'
import { SharedReads } from '../../../adapters/postgres/shared-reads.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'
import { putCallback } from './stored-callbacks.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const UNKNOWN = '01890a5d-ac96-774b-bcce-b302099a8057'

describe('SharedReads', () => {
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  after(() => storage.close())

  it('gives each its own callback, and none of another workspace', async () => {
    const reads = new SharedReads({ prisma: storage.open().prisma, timeoutMs: 5000 })
    const ids = await Promise.all([putCallback(storage), putCallback(storage, { workspace: 'shop' })])
    const found = await Promise.all([...ids, UNKNOWN, ...ids].map(id => reads.find('default', id)))
    assert.deepEqual(
      found.map(callback => callback?.id),
      [ids[0], undefined, undefined, ids[0], undefined],
    )
  })

  it('says that the storage is unavailable when the database does not answer in time', async () => {
    const reads = new SharedReads({ prisma: storage.open().prisma, timeoutMs: 1 })
    await assert.rejects(reads.find('default', UNKNOWN), StorageUnavailableError)
  })
})
