import assert from 'node:assert/strict'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { columns } from '../../../adapters/new-callback.ts'
import { openSpoolDatabase } from '../../../adapters/spool/spool-database.ts'
import { type SpooledRow, SpoolFile } from '../../../adapters/spool/spool-file.ts'
import { newCallback } from '../postgres/new-inbox.ts'

/** The tables as earlier releases made them. */
const VERSION_1 = `
  CREATE TABLE spool (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, object_ids TEXT NOT NULL, idempotency_key TEXT UNIQUE,
    request_id TEXT, traceparent TEXT, tracestate TEXT, baggage TEXT, received_ms REAL NOT NULL) STRICT;
  CREATE TABLE set_aside (id TEXT NOT NULL UNIQUE, object_ids TEXT NOT NULL, idempotency_key TEXT, request_id TEXT, traceparent TEXT,
    tracestate TEXT, baggage TEXT, received_ms REAL NOT NULL, reason TEXT NOT NULL) STRICT;
  INSERT INTO spool (id, object_ids, idempotency_key, received_ms) VALUES ('a', '{1}', 'k', 1), ('b', '{2}', NULL, 2);
  INSERT INTO set_aside (id, object_ids, idempotency_key, received_ms, reason) VALUES ('c', '{3}', 'l', 3, 'refused');
  PRAGMA user_version = 1`
const VERSION_0 = `CREATE TABLE spool (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, object_ids TEXT NOT NULL, idempotency_key TEXT UNIQUE,
  request_id TEXT, traceparent TEXT, tracestate TEXT, baggage TEXT, received_ms REAL NOT NULL, is_refused INTEGER NOT NULL DEFAULT 0
) STRICT`

describe('SpoolFile', () => {
  let folder: string
  let path: string
  const opened: SpoolFile[] = []

  beforeEach(() => {
    folder = fs.mkdtempSync(join(tmpdir(), 'answerback-spool-'))
    path = join(folder, 'spool.sqlite')
  })

  afterEach(() => {
    for (const file of opened.splice(0)) file.close()
    fs.rmSync(folder, { recursive: true })
  })

  function open(): SpoolFile {
    const file = new SpoolFile({ path, maxBytes: 2 ** 30 })
    opened.push(file)
    return file
  }

  const close = (): void => opened.pop()?.close()
  const row = (idempotencyKey?: string, ...objectIds: bigint[]): SpooledRow => ({
    ...columns(newCallback({ idempotencyKey, objectIds: objectIds.length > 0 ? objectIds : [1n] })),
    received_ms: 1,
  })
  const idsOf = (file: SpoolFile): string[] => file.oldest({ after: 0, limit: 1000 }).map(({ id }) => id)
  const lastSeq = (file: SpoolFile): number => file.oldest({ after: 0, limit: 1000 }).at(-1)?.seq ?? 0
  const refuse = (file: SpoolFile): void =>
    file.forget({ seq: lastSeq(file), refused: [{ seq: lastSeq(file), reason: 'bigint out of range' }] })

  describe('what the database refused', () => {
    it('is set aside, with the reason, when the rest is forgotten', () => {
      const file = open()
      const [good, bad, later] = [row(), row(), row()]
      file.append([good, bad, later])
      file.forget({ seq: 2, refused: [{ seq: 2, reason: 'bigint out of range' }] })
      assert.deepEqual(idsOf(file), [later.id])
      assert.deepEqual([file.state.callbacks, file.state.setAside], [1, 1])
      close()
      const db = new DatabaseSync(path)
      assert.deepEqual(db.prepare('SELECT id, reason FROM set_aside').all().map(Object.values), [[bad.id, 'bigint out of range']])
      db.close()
    })

    it('waits for the database again, behind the others, when it is sent again', () => {
      const file = open()
      const bad = row('k')
      file.append([bad])
      refuse(file)
      const other = row()
      file.append([other])
      assert.deepEqual(file.append([row('k')]), [{ id: bad.id, receivedMs: 1, isReplay: false }])
      assert.deepEqual(idsOf(file), [other.id, bad.id])
      assert.deepEqual([file.state.callbacks, file.state.setAside], [2, 0])
      close()
      assert.deepEqual([open().state.callbacks, opened[0]?.state.setAside], [2, 0])
    })

    it('leaves its key to others', () => {
      const file = open()
      file.append([row('k')])
      refuse(file)
      const rival = row('k', 2n)
      file.append([rival])
      assert.deepEqual(idsOf(file), [rival.id])
      assert.deepEqual(file.append([row('k')]), ['key_reused'])
      assert.equal(file.state.setAside, 1)
    })
  })

  describe('nobody but its owner reads', () => {
    const modeOf = (file: string): string => (fs.statSync(file).mode & 0o777).toString(8)

    it('what it makes: its folders, the file and its journal', () => {
      path = join(folder, 'made', 'by us', 'spool.sqlite')
      open().append([row()])
      const made = [dirname(dirname(path)), dirname(path), path, `${path}-wal`]
      assert.deepEqual(made.map(modeOf), ['700', '700', '600', '600'])
    })

    it('a file and a journal that were there, in a folder that stays as it is', () => {
      open().append([row()])
      fs.copyFileSync(path, `${path}.copy`)
      fs.copyFileSync(`${path}-wal`, `${path}.copy-wal`)
      path = `${path}.copy`
      fs.chmodSync(folder, 0o755)
      for (const file of [path, `${path}-wal`]) fs.chmodSync(file, 0o644)
      assert.equal(open().state.callbacks, 1)
      assert.deepEqual([folder, path, `${path}-wal`].map(modeOf), ['755', '600', '600'])
    })
  })

  it('has a journal of at most 20 MB beside it, however large its writes are', () => {
    const file = open()
    const large = (): SpooledRow => ({ ...row(), object_ids: `{${'-9223372036854775808,'.repeat(999)}0}`, baggage: 'b'.repeat(16_000) })
    for (let i = 0; i < 5; i += 1) file.append(Array.from({ length: 256 }, large))
    const { size } = fs.statSync(`${path}-wal`)
    assert.ok(size > 2 ** 20 && size < 20 * 2 ** 20, `${size} bytes`)
  })

  it('flushes each commit to the disk', () => {
    const { db } = openSpoolDatabase(path)
    const pragma = (name: string): unknown => Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]
    // 2 is FULL: https://www.sqlite.org/pragma.html#pragma_synchronous
    assert.deepEqual([pragma('journal_mode'), pragma('synchronous')], ['wal', 2])
    db.close()
  })

  it('keeps no row of a failed write, and accepts the next write', () => {
    const file = open()
    const broken = { ...row(), object_ids: null as unknown as string }
    assert.throws(() => file.append([row(), broken]), /NOT NULL/)
    const next = row()
    file.append([next])
    assert.deepEqual(idsOf(file), [next.id])
  })

  it('is full with as many bytes as it may have', () => {
    const { bytes } = open().state
    close()
    opened.push(new SpoolFile({ path, maxBytes: bytes }))
    assert.deepEqual(opened[0]?.append([row()]), ['no_room'])
  })

  it('tells copies from rivals though it is full', () => {
    const file = open()
    const first = row('k')
    file.append([first])
    close()
    const full = new SpoolFile({ path, maxBytes: 1 })
    opened.push(full)
    assert.deepEqual(full.append([row('k'), row('k', 2n), row()]), [
      { id: first.id, receivedMs: 1, isReplay: true },
      'key_reused',
      'no_room',
    ])
  })

  it('reports that it cannot be written until it can, and still says what it contains', () => {
    const file = open()
    const [first, other] = [row('k'), row()]
    file.append([first])
    const { exec } = DatabaseSync.prototype
    DatabaseSync.prototype.exec = function (sql) {
      if (sql === 'COMMIT') throw Object.assign(new Error('database or disk is full'), { errcode: 13 })
      exec.call(this, sql)
    }
    try {
      assert.deepEqual(file.append([row('k'), row('k', 2n), other]), [
        { id: first.id, receivedMs: 1, isReplay: true },
        'key_reused',
        'no_room',
      ])
      assert.throws(() => file.forget({ seq: 1, refused: [{ seq: 1, reason: 'not this one' }] }), /disk is full/)
      assert.throws(() => file.probe(), /disk is full/)
    } finally {
      DatabaseSync.prototype.exec = exec
    }
    assert.deepEqual(file.state, {
      ...file.state,
      callbacks: 1,
      setAside: 0,
      problem: 'the spool cannot be used: database or disk is full',
    })
    file.probe()
    assert.equal(file.state.problem, undefined)
    assert.deepEqual(idsOf(file), [first.id])
  })

  it('finds out by writing whether it can be written, and changes nothing by that', () => {
    const file = open()
    file.append([row()])
    const { state } = file
    const { size } = fs.statSync(`${path}-wal`)
    file.probe()
    assert.ok(fs.statSync(`${path}-wal`).size > size)
    close()
    assert.deepEqual(open().state, state)
  })

  it('says that it cannot be read until it can be used again', () => {
    const file = open()
    file.append([row()])
    const { prepare } = DatabaseSync.prototype
    DatabaseSync.prototype.prepare = function (sql) {
      const statement = prepare.call(this, sql)
      const fail = () => assert.fail(Object.assign(new Error('disk I/O error'), { errcode: 266 }))
      return sql.startsWith('SELECT seq') ? Object.assign(statement, { iterate: fail, get: fail }) : statement
    }
    try {
      assert.throws(() => file.find('any'), /disk I\/O error/)
      assert.equal(file.state.problem, 'the spool cannot be used: disk I/O error')
      file.probe()
      assert.throws(() => file.oldest({ after: 0, limit: 1 }), /disk I\/O error/)
      assert.deepEqual(file.state, { ...file.state, problem: 'the spool cannot be used: disk I/O error', isDamaged: false })
    } finally {
      DatabaseSync.prototype.prepare = prepare
    }
    file.probe()
    assert.deepEqual([file.state.problem, idsOf(file).length], [undefined, 1])
  })

  it('finds rivals among the rows that it has not returned', () => {
    const file = open()
    file.append([row(), row('k')])
    const rows = [row('k', 2n), row('k'), row('other'), row()]
    assert.deepEqual(file.areRivals({ rows, after: 0 }), [true, false, false, false])
    assert.deepEqual(file.areRivals({ rows, after: 2 }), [false, false, false, false])
  })

  it('treats the same object ids in another order as a replay, not as a rival', () => {
    const file = open()
    const [first] = file.append([row('k', 10n, 2n)])
    assert.deepEqual(file.areRivals({ rows: [row('k', 2n, 10n), row('k', 2n)], after: 0 }), [false, true])
    assert.deepEqual(file.append([row('k', 2n, 10n), row('k', 2n)]), [{ ...(first as object), isReplay: true }, 'key_reused'])
  })

  describe('with two workspaces', () => {
    const inShop = (callback: SpooledRow): SpooledRow => ({ ...callback, workspace: 'shop', id: `shop ${callback.id}` })

    it('keeps their keys apart, and returns each row with its workspace and its bare key', () => {
      const file = open()
      const [ours, theirs] = [row('k'), inShop(row('k', 2n))]
      assert.deepEqual(
        file.append([ours, theirs, row('k', 3n), inShop(row('k', 3n))]).map(kept => (typeof kept === 'object' ? kept.id : kept)),
        [ours.id, theirs.id, 'key_reused', 'key_reused'],
      )
      assert.deepEqual(file.areRivals({ rows: [row('k', 2n), inShop(row('k', 1n)), inShop(row('l'))], after: 0 }), [true, true, false])
      const given = file.oldest({ after: 0, limit: 10 }).map(({ workspace, idempotency_key }) => [workspace, idempotency_key])
      assert.deepEqual(given, [
        ['default', 'k'],
        ['shop', 'k'],
      ])
      assert.deepEqual([file.find(theirs.id)?.workspace, file.find(theirs.id)?.idempotency_key], ['shop', 'k'])
    })

    it('keeps workspace and key of a row that is set aside, put back or dropped', () => {
      const file = open()
      const bad = inShop(row('k'))
      file.append([bad])
      refuse(file)
      assert.deepEqual(
        file.aside({ limit: 1 }).map(({ workspace, idempotency_key }) => [workspace, idempotency_key]),
        [['shop', 'k']],
      )
      file.putBack({ id: bad.id, without: [] })
      assert.equal(file.append([inShop(row('k', 9n))])[0], 'key_reused')
      refuse(file)
      assert.deepEqual([file.drop(bad.id)?.workspace, file.state.setAside], ['shop', 0])
    })
  })

  describe('of another release', () => {
    function make(sql: string): void {
      const db = new DatabaseSync(path)
      db.exec(`PRAGMA journal_mode = WAL; ${sql}`)
      db.close()
    }

    it('returns the rows of an earlier release, including those set aside', () => {
      make(`${VERSION_0};
        INSERT INTO spool (id, object_ids, idempotency_key, received_ms, is_refused) VALUES ('a', '{1}', 'k', 1, 1), ('b', '{2}', 'l', 2, 0)`)
      const file = open()
      assert.deepEqual(idsOf(file), ['a', 'b'])
      assert.deepEqual([file.state.callbacks, file.state.setAside], [2, 0])
      assert.deepEqual(file.append([row('k')]), [{ id: 'a', receivedMs: 1, isReplay: true }])
      file.append([row('new')])
      file.forget({ seq: 2, refused: [{ seq: 1, reason: 'refused again' }] })
      assert.deepEqual([file.state.callbacks, file.state.setAside], [1, 1])
      close()
      assert.deepEqual([open().state.callbacks, opened[0]?.state.setAside], [1, 1])
    })

    it('keeps the callbacks of the release before, in the workspace default, under their keys', () => {
      make(VERSION_1)
      const file = open()
      const given = file.oldest({ after: 0, limit: 10 }).map(({ id, workspace, idempotency_key }) => [id, workspace, idempotency_key])
      assert.deepEqual(given, [
        ['a', 'default', 'k'],
        ['b', 'default', null],
      ])
      assert.deepEqual(
        file.aside({ limit: 10 }).map(({ id, workspace, idempotency_key }) => [id, workspace, idempotency_key]),
        [['c', 'default', 'l']],
      )
      assert.deepEqual(file.append([row('k'), row('k', 2n)]), [{ id: 'a', receivedMs: 1, isReplay: true }, 'key_reused'])
      assert.deepEqual(file.putBack({ id: 'c', without: [] }), { workspace: 'default' })
      close()
      assert.deepEqual([open().state.callbacks, opened[0]?.state.setAside], [3, 0])
    })

    it('is read up to the damage if it is damaged, and not changed', () => {
      const many = Array.from({ length: 1000 }, (_, i) => `('id ${i}', '{${i}}', 'key ${i}', 4)`)
      make(`${VERSION_1}; INSERT INTO spool (id, object_ids, idempotency_key, received_ms) VALUES ${many}`)
      const db = new DatabaseSync(path)
      const { page } = db.prepare(`SELECT rootpage AS page FROM sqlite_schema WHERE name = 'sqlite_autoindex_spool_2'`).get() as {
        page: number
      }
      db.close()
      const content = fs.readFileSync(path).fill(0x5a, (page - 1) * 4096, page * 4096)
      fs.writeFileSync(path, content)
      const file = open()
      assert.equal(file.state.isDamaged, true)
      const given = file.oldest({ after: 0, limit: 10_000 })
      assert.equal(given.length, 1002)
      assert.deepEqual([given[0]?.workspace, given[0]?.idempotency_key, given[1]?.idempotency_key], ['default', 'k', null])
      close()
      assert.deepEqual(fs.readFileSync(path), content)
    })

    it('is refused and not changed if it is newer', () => {
      make('CREATE TABLE spool (seq INTEGER PRIMARY KEY, a_new_column TEXT); PRAGMA user_version = 3')
      const before = fs.readFileSync(path)
      assert.throws(open, /written by a newer release: its version is 3, this release knows 2/)
      assert.deepEqual(fs.readFileSync(path), before)
      assert.deepEqual(fs.readdirSync(folder), ['spool.sqlite'])
    })
  })

  describe('damaged', () => {
    const PAGE = 4096

    function fill(count: number): string[] {
      const rows = Array.from({ length: count }, (_, i) => row(`key ${i}`))
      open().append(rows)
      close()
      return rows.map(({ id }) => id)
    }

    /** Overwrites a page with invalid bytes. Pages are counted from 1. */
    function damage(page: number): void {
      const file = fs.openSync(path, 'r+')
      fs.writeSync(file, Buffer.alloc(PAGE, 0x5a), 0, PAGE, (page - 1) * PAGE)
      fs.closeSync(file)
    }

    function rootOf(index: string): number {
      const db = new DatabaseSync(path)
      const { page } = db.prepare('SELECT rootpage AS page FROM sqlite_schema WHERE name = ?').get(index) as { page: number }
      db.close()
      return page
    }

    const keys = 'sqlite_autoindex_spool_2'

    it('in an index reports it when it is opened, keeps and changes nothing, and returns all rows', () => {
      const ids = fill(3000)
      damage(rootOf(keys))
      const before = fs.readFileSync(path)
      const file = open()
      assert.match(file.state.problem ?? '', /the spool is damaged/)
      assert.deepEqual([file.state.isDamaged, file.state.callbacks], [true, 3000])
      assert.throws(() => file.append([row('new')]))
      const given = file.oldest({ after: 0, limit: 10_000 })
      assert.deepEqual(
        given.map(({ id }) => id),
        ids,
      )
      file.forget({ seq: 1000, refused: [] })
      assert.equal(file.state.callbacks, 2000)
      file.forget({ seq: 3000, refused: [] })
      file.forget({ seq: 3000, refused: [] })
      assert.equal(file.state.callbacks, 0)
      close()
      assert.deepEqual(fs.readFileSync(path), before)
    })

    it('in its table returns the rows before the damage', () => {
      const ids = fill(3000)
      // The ids are in the table and in its index. The table was filled first, so the first match is in the table.
      damage(Math.floor(fs.readFileSync(path).indexOf(ids[1500] as string) / PAGE) + 1)
      const file = open()
      const given = file.oldest({ after: 0, limit: 10_000 })
      assert.ok(given.length > 1400 && given.length <= 1500, `${given.length} given`)
      assert.deepEqual(
        given.map(({ id }) => id),
        ids.slice(0, given.length),
      )
      assert.deepEqual([file.state.isDamaged, file.state.callbacks], [true, given.length])
    })

    it('while it is open reports it from then on', () => {
      // This is more than SQLite keeps in memory.
      const ids = fill(30_000)
      const root = rootOf(keys)
      const file = open()
      assert.equal(file.state.problem, undefined)
      damage(root)
      assert.throws(() => file.append([row('new')]), /malformed/)
      assert.match(file.state.problem ?? '', /the spool is damaged: database disk image is malformed/)
      assert.throws(() => file.append([row()]), /malformed/)
      assert.equal(file.oldest({ after: 29_990, limit: 100 }).at(-1)?.id, ids.at(-1))
    })
  })

  it('is on the disk with its folders when it is open', () => {
    path = join(folder, 'a', 'b', 'spool.sqlite')
    const flushed: string[] = []
    const { openSync, fsyncSync } = fs
    const names = new Map<number, string>()
    fs.openSync = (name, flags, mode) => {
      const descriptor = openSync(name, flags, mode)
      names.set(descriptor, String(name))
      return descriptor
    }
    fs.fsyncSync = descriptor => {
      flushed.push(names.get(descriptor) ?? '')
      fsyncSync(descriptor)
    }
    syncBuiltinESMExports()
    try {
      open()
    } finally {
      Object.assign(fs, { openSync, fsyncSync })
      syncBuiltinESMExports()
    }
    assert.deepEqual(flushed, [dirname(path), join(folder, 'a'), folder])
  })
})
