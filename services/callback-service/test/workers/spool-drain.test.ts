import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { eventually } from '../../../../test/support/eventually.ts'
import { StorageUnavailableError, ValueRefusedError } from '../../domain/storage-errors.ts'
import { SpoolDrain } from '../../workers/spool-drain.ts'
import { logger } from './silent-logger.ts'

interface Row {
  readonly seq: number
  readonly id: string
  readonly request_id?: string
  readonly traceparent?: string
}

describe('SpoolDrain', () => {
  let drain: SpoolDrain<Row>

  afterEach(() => drain.stop())

  /** Makes a spool in memory with `count` callbacks, and an inbox that takes the rows for which `takeOver` does not throw. */
  function setup(count: number, takeOver: (rows: readonly Row[]) => { id: string; ownerId: string }[] = () => [], log = logger) {
    let rows = Array.from({ length: count }, (_, i): Row => ({ seq: i + 1, id: String(i + 1) }))
    let takenSeq = 0
    const disk = { isFull: false }
    const seen = { taken: [] as string[], batches: [] as number[], aside: [] as number[], drained: 0, looks: 0, questions: 0 }
    drain = new SpoolDrain({
      spool: {
        get callbacks() {
          seen.looks += 1
          return rows.length
        },
        oldest: async limit => {
          seen.questions += 1
          return rows.filter(({ seq }) => seq > takenSeq).slice(0, limit)
        },
        forget: async (seq = takenSeq) => {
          takenSeq = seq
          if (disk.isFull) throw new StorageUnavailableError('the disk is full')
          rows = rows.filter(row => row.seq > seq)
        },
        setAside: seq => seen.aside.push(seq),
      },
      takeOver: async batch => {
        seen.batches.push(batch.length)
        const rivals = takeOver(batch)
        seen.taken.push(...batch.map(row => row.id))
        return rivals
      },
      onDrained: drained => {
        seen.drained += drained
      },
      logger: log,
    })
    drain.start()
    return { seen, disk, left: () => rows.length, put: (row: Row) => rows.push(row) }
  }

  /** Makes a logger that keeps its lines at info and above. */
  function logging() {
    const lines: Record<string, unknown>[] = []
    return { lines, log: pino({}, { write: line => lines.push(JSON.parse(line)) }) }
  }

  const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i + 1))

  it('moves all callbacks in order, and those that come later', async () => {
    const { seen, left, put } = setup(600)
    await eventually('it is empty', () => left() === 0)
    put({ seq: 601, id: '601' })
    await eventually('it is empty again', () => left() === 0)
    assert.deepEqual(seen.taken, ids(601))
    assert.equal(seen.drained, 601)
  })

  it('keeps everything while the database is away, and goes on when it is back', async () => {
    let isAway = true
    let tries = 0
    const { seen, left } = setup(10, () => {
      tries += 1
      if (isAway) throw new StorageUnavailableError('away')
      return []
    })
    await eventually('it has tried', () => tries > 1)
    assert.equal(left(), 10)
    isAway = false
    await eventually('it is empty', () => left() === 0)
    assert.deepEqual(seen.taken, ids(10))
  })

  it('moves all callbacks from a full disk, each once, and forgets them when there is room', async () => {
    const { seen, disk, left } = setup(600)
    disk.isFull = true
    await eventually('all is taken', () => seen.drained === 600)
    assert.equal(left(), 600)
    const { questions } = seen
    await eventually('it has looked for more', () => seen.questions > questions + 1)
    disk.isFull = false
    await eventually('it is empty', () => left() === 0)
    assert.deepEqual(seen.taken, ids(600))
    assert.deepEqual(seen.batches, [256, 256, 88])
  })

  it('does not read the spool while it is empty', async () => {
    const { seen } = setup(0)
    await eventually('it has looked', () => seen.looks > 4)
    assert.equal(seen.questions, 0)
  })

  it('moves nothing once it is stopped', async () => {
    const { seen, put } = setup(0)
    await eventually('it has looked', () => seen.looks > 0)
    await drain.stop()
    put({ seq: 1, id: '1' })
    await sleep(120)
    assert.deepEqual(seen.taken, [])
  })

  it('says once that the spool is in use, and how many it moved when it is drained', async () => {
    const { lines, log } = logging()
    const { seen, put } = setup(0, () => [], log)
    await eventually('it has looked', () => seen.looks > 2)
    for (const ids of [[1, 2], [3]]) {
      const said = lines.length
      for (const id of ids) put({ seq: id, id: String(id) })
      await eventually('it is drained', () => lines.length >= said + 2)
    }
    const inUse = 'callbacks are in the spool until the database takes them'
    assert.deepEqual(
      lines.map(({ msg, callbacks }) => [msg, callbacks]),
      [
        [inUse, 2],
        ['the spool is drained', 2],
        [inUse, 1],
        ['the spool is drained', 1],
      ],
    )
  })

  it('says nothing more while the spool stays in use', async () => {
    const { lines, log } = logging()
    const away = (): never => {
      throw new StorageUnavailableError('away')
    }
    const { seen } = setup(3, away, log)
    await eventually('it has tried', () => seen.batches.length > 2)
    assert.deepEqual(
      lines.map(line => line.callbacks),
      [3],
    )
  })

  it('sets aside the one callback that the database refuses, and says so', async () => {
    const { lines, log } = logging()
    const refusing = (rows: readonly Row[]): [] => {
      if (rows.some(row => row.id === '42')) throw new ValueRefusedError('not this one')
      return []
    }
    const { seen, left } = setup(100, refusing, log)
    await eventually('it is empty', () => left() === 0)
    assert.deepEqual(seen.aside, [42])
    assert.deepEqual(
      lines.flatMap(({ callback_id, reason }) => (callback_id === undefined ? [] : [[callback_id, reason]])),
      [['42', 'not this one']],
    )
    assert.deepEqual(
      seen.taken,
      ids(100).filter(id => id !== '42'),
    )
  })

  it('logs as an error which callback it sets aside, and why', async () => {
    const told: Record<string, unknown>[] = []
    const log = pino({ level: 'error' }, { write: line => told.push(JSON.parse(line)) })
    const refuse = (): never => {
      throw new ValueRefusedError('not this one')
    }
    const { left, put } = setup(0, refuse, log)
    put({ seq: 1, id: '1', request_id: 'r', traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` })
    await eventually('it is empty', () => left() === 0)
    const [{ callback_id, request_id, trace_id, reason, msg } = {}, ...others] = told
    assert.deepEqual([callback_id, request_id, trace_id, reason], ['1', 'r', 'a'.repeat(32), 'not this one'])
    assert.equal(msg, 'the database refuses a spooled callback: it stays in the spool, set aside')
    assert.deepEqual(others, [])
  })

  it('drains the others from a full disk when the database refuses one, and tries that one once', async () => {
    let refusals = 0
    const { seen, disk, left, put } = setup(600, rows => {
      if (rows.some(row => row.id === '42')) {
        refusals += 1
        throw new ValueRefusedError('not this one')
      }
      return []
    })
    disk.isFull = true
    await eventually('the others are taken', () => seen.drained === 599)
    const halvings = refusals
    put({ seq: 601, id: '601' })
    await eventually('what comes is taken', () => seen.drained === 600)
    disk.isFull = false
    await eventually('it is empty', () => left() === 0)
    assert.deepEqual([seen.aside, refusals], [[42], halvings])
    assert.deepEqual(
      seen.taken,
      ids(601).filter(id => id !== '42'),
    )
  })

  it('logs once that it keeps two callbacks under one idempotency key', async () => {
    const { lines, log } = logging()
    const { seen, left } = setup(100, () => [{ id: '7', ownerId: 'owner' }], log)
    await eventually('it is empty', () => left() === 0)
    assert.equal(seen.drained, 100)
    const warnings = lines.filter(line => 'owner_id' in line)
    assert.deepEqual(
      warnings.map(line => ({ ...line, level: 0, time: 0, pid: 0, hostname: '' })),
      [
        {
          level: 0,
          time: 0,
          pid: 0,
          hostname: '',
          callback_id: '7',
          owner_id: 'owner',
          msg: 'two callbacks were accepted under one idempotency key, with different ids: both are kept',
        },
      ],
    )
  })

  it('is moving only while callbacks move', async () => {
    const moving: boolean[] = []
    let isAway = false
    const { left } = setup(600, () => {
      moving.push(drain.isMoving)
      if (moving.length === 3) isAway = true
      if (isAway) throw new StorageUnavailableError('away')
      return []
    })
    await eventually('it has tried in vain', () => moving.length >= 4)
    isAway = false
    await eventually('it is empty', () => left() === 0)
    assert.deepEqual(moving.slice(0, 4), [false, true, true, false])
    assert.equal(drain.isMoving, false)
  })
})
