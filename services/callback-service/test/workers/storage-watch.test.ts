import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { pino } from 'pino'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { StorageWatch } from '../../workers/storage-watch.ts'

describe('StorageWatch', () => {
  let watch: StorageWatch
  let nowMs: number
  /** The error that the next look finds; undefined if there is none. */
  let trouble: unknown
  let cautions: { settings: string | undefined; durability: string | undefined }
  /** For each look, whether it had to commit something. */
  let looks: boolean[]
  let logged: string[]

  beforeEach(() => {
    nowMs = 100_000
    trouble = undefined
    cautions = { settings: undefined, durability: undefined }
    looks = []
    logged = []
    mock.timers.enable({ apis: ['setTimeout'] })
    // This own property hides the inherited one.
    Object.defineProperty(performance, 'now', { configurable: true, value: () => nowMs })
    watch = new StorageWatch({
      probe: async isWriting => {
        looks.push(isWriting)
        if (trouble !== undefined) throw trouble
        return cautions
      },
      logger: pino({}, { write: line => logged.push(lineOf(JSON.parse(line))) }),
    })
  })

  afterEach(async () => {
    await watch.stop()
    mock.timers.reset()
    Reflect.deleteProperty(performance, 'now')
  })

  const lineOf = ({ msg, reason }: { msg: string; reason?: string }): string => (reason === undefined ? msg : `${msg}: ${reason}`)

  /** Advances the time. At most one look happens. */
  async function pass(ms: number): Promise<void> {
    nowMs += ms
    mock.timers.tick(ms)
    await new Promise(setImmediate)
  }

  /** Makes the watch look once more, also after a failure. */
  const look = (): Promise<void> => pass(1000)

  async function start(): Promise<void> {
    watch.start()
    await pass(0)
  }

  it('has a problem until the database has answered once', async () => {
    assert.match(watch.problem ?? '', /not answered yet/)
    watch.start()
    assert.match(watch.problem ?? '', /not answered yet/)
    await pass(0)
    assert.equal(watch.problem, undefined)
  })

  it('looks twice a second', async () => {
    await start()
    await pass(499)
    assert.equal(looks.length, 1)
    await pass(1)
    assert.equal(looks.length, 2)
  })

  it('looks no more once it is stopped', async () => {
    await start()
    await watch.stop()
    await look()
    assert.equal(looks.length, 1)
  })

  it('says what is wrong while it is, and that all is well when it is again', async () => {
    trouble = new StorageUnavailableError('the database is not migrated')
    await start()
    assert.equal(watch.problem, 'the database is not migrated')
    trouble = undefined
    await look()
    assert.equal(watch.problem, undefined)
    trouble = 'no error, only words'
    await look()
    assert.equal(watch.problem, 'no error, only words')
  })

  it('has a problem while callbacks are refused, although the database answers and commits, as on a full disk', async () => {
    await start()
    watch.refused('could not extend file')
    assert.equal(watch.problem, 'a callback was not stored: could not extend file')
    watch.accepted()
    assert.equal(watch.problem, undefined)
  })

  it('counts a refusal as over after 1.5 s without another', async () => {
    await start()
    watch.refused('could not extend file')
    await pass(1499)
    assert.equal(watch.problem, 'a callback was not stored: could not extend file')
    await pass(1)
    assert.equal(watch.problem, undefined)
  })

  it('prefers its own problem to the reason of a refused callback', async () => {
    trouble = new StorageUnavailableError('read-only')
    await start()
    watch.refused('INSERT is read-only')
    assert.equal(watch.problem, 'read-only')
  })

  it('commits something at first, and then when no callback was committed for five seconds', async () => {
    await start()
    for (let i = 0; i < 10; i += 1) await pass(500)
    assert.deepEqual(looks, [true, ...Array(9).fill(false), true])
    for (let i = 0; i < 9; i += 1) await pass(500)
    watch.accepted()
    for (let i = 0; i < 10; i += 1) await pass(500)
    assert.deepEqual(looks.slice(11), [...Array(18).fill(false), true])
  })

  it('commits something at once after a callback was refused', async () => {
    await start()
    watch.refused('a lock')
    await look()
    await look()
    assert.deepEqual(looks, [true, true, false])
  })

  it('commits something until all is well again', async () => {
    await start()
    trouble = new StorageUnavailableError('away')
    await look()
    await look()
    trouble = undefined
    await look()
    await look()
    assert.deepEqual(looks, [true, false, true, true, false])
  })

  it('logs each reason once, from its own looks and from accepting, and logs when it is over', async () => {
    trouble = new StorageUnavailableError('refused')
    await start()
    await look()
    trouble = new StorageUnavailableError('read-only')
    await look()
    await look()
    for (let i = 0; i < 5; i += 1) watch.refused('INSERT is read-only')
    trouble = undefined
    await look()
    watch.accepted()
    watch.accepted()
    assert.deepEqual(logged, [
      'the database takes no callbacks: refused',
      'the database takes no callbacks: read-only',
      'a callback was not stored in the database: INSERT is read-only',
      'the database takes callbacks again',
      'callbacks are stored in the database again',
    ])
  })

  it('logs each caution once although all is well, and logs when it is over', async () => {
    cautions = { settings: 'the statement timeout is 0', durability: 'fsync is off' }
    await start()
    await look()
    assert.deepEqual([watch.problem, watch.weakness], [undefined, 'fsync is off'])
    cautions = { settings: undefined, durability: undefined }
    await look()
    await look()
    assert.equal(watch.weakness, undefined)
    assert.deepEqual(logged, [
      'the database ignores our settings: the statement timeout is 0',
      'accepted callbacks can be lost: fsync is off',
      'the database uses our settings',
      'accepted callbacks are safe',
    ])
  })
})
