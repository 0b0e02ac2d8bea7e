import assert from 'node:assert/strict'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { mock } from 'node:test'
import { columns } from '../../../adapters/new-callback.ts'
import { type SpooledRow, SpoolFile } from '../../../adapters/spool/spool-file.ts'
import { newCallback } from '../postgres/new-inbox.ts'

const TRACE = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'a=1', baggage: 'k=v' }

describe('what a SpoolFile has set aside', () => {
  let folder: string
  let path: string
  let file: SpoolFile

  beforeEach(() => {
    folder = fs.mkdtempSync(join(tmpdir(), 'answerback-spool-'))
    path = join(folder, 'spool.sqlite')
    file = open()
  })

  afterEach(() => {
    file.close()
    fs.rmSync(folder, { recursive: true })
  })

  const open = (): SpoolFile => new SpoolFile({ path, maxBytes: 2 ** 30 })

  /** As the next process finds it. */
  function reopen(): void {
    file.close()
    file = open()
  }

  const row = (idempotencyKey?: string, objectId = 1n): SpooledRow => ({
    ...columns(newCallback({ idempotencyKey, objectIds: [objectId], requestId: 'r', trace: TRACE })),
    received_ms: 1,
  })

  /** Keeps a row, and sets it aside as the database refuses it. */
  function putAside(refused: SpooledRow, reason = 'not this one'): void {
    file.append([refused])
    const seq = file.oldest({ after: 0, limit: 1000 }).at(-1)?.seq ?? 0
    file.forget({ seq, refused: [{ seq, reason }] })
  }

  const waiting = (): string[] => file.oldest({ after: 0, limit: 1000 }).map(({ id }) => id)
  const asideIds = (): string[] => file.aside({ limit: 1000 }).map(({ id }) => id)
  const counts = (): number[] => [file.state.callbacks, file.state.setAside]

  it('is listed whole, with the reason, the oldest first, as many as asked', () => {
    const [first, second] = [row('k'), row()]
    putAside(first)
    putAside(second, 'nor this one')
    assert.deepEqual([asideIds(), file.aside({ limit: 1 }).length], [[first.id, second.id], 1])
    assert.deepEqual({ ...file.aside({ limit: 1 })[0] }, { ...first, reason: 'not this one' })
  })

  it('waits again, behind the others, when it is put back, whole but for what is named', () => {
    const [bad, later] = [row('k'), row()]
    putAside(bad)
    file.append([later])
    assert.deepEqual(file.putBack({ id: bad.id, without: ['tracestate', 'baggage'] }), { workspace: 'default' })
    for (const look of [waiting, waiting]) {
      assert.deepEqual([look(), asideIds(), counts()], [[later.id, bad.id], [], [2, 0]])
      reopen()
    }
    const { seq: _, ...again } = file.find(bad.id) ?? assert.fail('it is here')
    assert.deepEqual(again, { ...bad, tracestate: null, baggage: null })
  })

  it('stays while another callback has its key', () => {
    const bad = row('k')
    putAside(bad)
    const rival = row('k', 2n)
    file.append([rival])
    assert.equal(file.putBack({ id: bad.id, without: [] }), 'key_reused')
    assert.deepEqual([waiting(), asideIds(), counts()], [[rival.id], [bad.id], [1, 1]])
  })

  it('is gone when it is dropped, and given once more', () => {
    const [bad, other] = [row('k'), row()]
    putAside(bad)
    putAside(other)
    assert.deepEqual({ ...file.drop(bad.id) }, { ...bad, reason: 'not this one' })
    assert.deepEqual([asideIds(), counts()], [[other.id], [0, 1]])
    reopen()
    assert.deepEqual([asideIds(), counts()], [[other.id], [0, 1]])
  })

  it('is nothing that was never there', () => {
    putAside(row())
    assert.deepEqual([file.putBack({ id: 'x', without: [] }), file.drop('x')], [undefined, undefined])
    assert.deepEqual(counts(), [0, 1])
  })

  it('is not looked for with each row that comes, where there is nothing', () => {
    const prepare = mock.method(DatabaseSync.prototype, 'prepare')
    try {
      file.append([row()])
      assert.ok(prepare.mock.calls.every(call => !call.arguments[0].includes('set_aside')))
    } finally {
      prepare.mock.restore()
    }
  })

  it('is not counted in a damaged file, which may lack the table', () => {
    file.close()
    fs.rmSync(path)
    const db = new DatabaseSync(path)
    db.exec(`PRAGMA journal_mode = WAL; CREATE TABLE spool (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, object_ids TEXT, idempotency_key TEXT,
      request_id TEXT, traceparent TEXT, tracestate TEXT, baggage TEXT, received_ms REAL); INSERT INTO spool (id) VALUES ('a')`)
    db.close()
    const { prepare } = DatabaseSync.prototype
    DatabaseSync.prototype.prepare = function (sql) {
      const statement = prepare.call(this, sql)
      return sql.includes('quick_check') ? Object.assign(statement, { get: () => ({ quick_check: 'a page is wrong' }) }) : statement
    }
    try {
      file = open()
    } finally {
      DatabaseSync.prototype.prepare = prepare
    }
    assert.deepEqual([counts(), file.state.isDamaged], [[1, 0], true])
    // The damage may be where this row would not go.
    assert.throws(() => file.append([row()]), { message: 'a page is wrong' })
    assert.deepEqual(waiting(), ['a'])
  })
})
