import assert from 'node:assert/strict'
import { isStorageTrouble, StorageUnavailableError, ValueRefusedError } from '../../domain/storage-errors.ts'

describe('isStorageTrouble', () => {
  it('is true only for errors that pass when the database is back', () => {
    const errors = [new StorageUnavailableError('away'), new ValueRefusedError('too long'), new TypeError('bug')]
    assert.deepEqual(errors.map(isStorageTrouble), [true, false, false])
  })
})
