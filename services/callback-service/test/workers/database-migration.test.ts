import assert from 'node:assert/strict'
import type { Part } from '#foundation/lifecycle/parts.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { databaseMigration } from '../../workers/database-migration.ts'
import { logger } from './silent-logger.ts'

describe('the migration of the database', () => {
  let part: Part

  afterEach(() => part.stop?.())

  it('is tried again until it succeeds, and not after that', async () => {
    let tries = 0
    part = databaseMigration(async () => {
      tries += 1
      if (tries === 1) throw new StorageUnavailableError('down')
    }, logger)
    await part.start?.()
    await eventually('it has succeeded', () => tries === 2)
    for (let i = 0; i < 10; i += 1) await new Promise(setImmediate)
    assert.equal(tries, 2)
  })

  it('is ended by a stop while it is under way, and awaited', async () => {
    const ended: unknown[] = []
    part = databaseMigration(
      signal =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => {
            ended.push('aborted')
            reject(signal.reason)
          }),
        ),
      logger,
    )
    await part.start?.()
    await part.stop?.()
    assert.deepEqual(ended, ['aborted'])
  })
})
