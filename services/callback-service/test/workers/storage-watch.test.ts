import assert from 'node:assert/strict'
import { pino } from 'pino'
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
          return new Promise<undefined>(answered => {
            answer = () => answered(undefined)
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
        return undefined
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

  it('has a problem while callbacks are refused, although the database answers and commits: a full disk, say', async () => {
    watch = new StorageWatch({ probe: async () => undefined, logger })
    watch.start()
    await eventually('all is well', () => watch.problem === undefined)
    watch.refused('could not extend file')
    assert.equal(watch.problem, 'a callback was not stored: could not extend file')
    watch.accepted()
    assert.equal(watch.problem, undefined)
    watch.refused('could not extend file')
    await eventually('nobody was refused for a while', () => watch.problem === undefined)
  })

  it('commits something at first, and again only after a callback was refused or something was wrong', async () => {
    const asked: boolean[] = []
    let trouble: Error | undefined
    watch = new StorageWatch({
      probe: async isWriting => {
        asked.push(isWriting)
        if (trouble) throw trouble
        return undefined
      },
      logger,
    })
    const looks = (count: number): Promise<void> => eventually(`${count} looks`, () => asked.length >= count)
    watch.start()
    await looks(2)
    watch.refused('a lock')
    await looks(4)
    assert.deepEqual(asked, [true, false, true, false])
    trouble = new StorageUnavailableError('away')
    await eventually('the trouble is known', () => watch.problem === 'away')
    trouble = undefined
    await eventually('all is well', () => watch.problem === undefined)
    assert.equal(asked.at(-1), true)
    const count = asked.length
    await looks(count + 1)
    assert.equal(asked.at(-1), false)
  })

  it('logs each reason once, of its own and of accepting, and when it is over', async () => {
    const logged: { msg: string; reason?: string }[] = []
    let trouble: string | undefined
    let looks = 0
    watch = new StorageWatch({
      probe: async () => {
        looks += 1
        if (trouble !== undefined) throw new StorageUnavailableError(trouble)
        return undefined
      },
      logger: pino({ base: null, timestamp: false }, { write: line => logged.push(JSON.parse(line)) }),
    })
    const looked = (count: number): Promise<void> => {
      const from = looks
      return eventually(`${count} looks`, () => looks >= from + count)
    }
    watch.start()
    trouble = 'refused'
    await looked(3)
    trouble = 'read-only'
    await looked(2)
    for (let i = 0; i < 5; i += 1) watch.refused('INSERT is read-only')
    trouble = undefined
    await eventually('all is well', () => watch.problem === undefined)
    watch.accepted()
    watch.accepted()
    assert.deepEqual(
      logged.map(({ msg, reason }) => (reason === undefined ? msg : `${msg}: ${reason}`)),
      [
        'the database takes no callbacks: refused',
        'the database takes no callbacks: read-only',
        'a callback was not stored in the database: INSERT is read-only',
        'the database takes callbacks again',
        'callbacks are stored in the database again',
      ],
    )
  })
})
