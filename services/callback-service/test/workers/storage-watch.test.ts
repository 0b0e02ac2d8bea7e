import assert from 'node:assert/strict'
import { eventually } from '../../../../test/support/eventually.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { StorageWatch } from '../../workers/storage-watch.ts'
import { logger } from './silent-logger.ts'

describe('StorageWatch', () => {
  let watch: StorageWatch

  afterEach(() => watch.stop())

  it('has a problem until the database has answered once', async () => {
    let answer: () => void = () => undefined
    const asked = new Promise<void>(resolve => {
      watch = new StorageWatch({
        probe: () => {
          resolve()
          return new Promise(answered => {
            answer = answered
          })
        },
        logger,
      })
    })
    assert.match(watch.problem ?? '', /not answered yet/)
    watch.start()
    await asked
    assert.match(watch.problem ?? '', /not answered yet/)
    answer()
    await eventually('all is well', () => watch.problem === undefined)
  })

  it('says what is wrong while it is, and that all is well when it is again', async () => {
    let trouble: unknown = new StorageUnavailableError('the database is not migrated')
    watch = new StorageWatch({
      probe: async () => {
        if (trouble !== undefined) throw trouble
      },
      logger,
    })
    watch.start()
    await eventually('the problem is known', () => watch.problem === 'the database is not migrated')
    trouble = undefined
    await eventually('all is well', () => watch.problem === undefined)
    trouble = new StorageUnavailableError('connection refused')
    await eventually('the new problem is known', () => watch.problem === 'connection refused')
    trouble = 'no error, only words'
    await eventually('also this one', () => watch.problem === 'no error, only words')
  })
})
