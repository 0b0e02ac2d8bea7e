import assert from 'node:assert/strict'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { contentBytes, openSpoolDatabase } from '../../../adapters/spool/spool-database.ts'

const PAGE = 4096

describe('openSpoolDatabase', () => {
  const { getuid } = process
  const { prepare } = DatabaseSync.prototype
  let folder: string
  let path: string

  beforeEach(() => {
    folder = fs.mkdtempSync(join(tmpdir(), 'answerback-spool-'))
    path = join(folder, 'spool.sqlite')
  })

  afterEach(() => {
    Object.assign(process, { getuid })
    DatabaseSync.prototype.prepare = prepare
    fs.rmSync(folder, { recursive: true })
  })

  /** @returns the damage that was found */
  function openAndClose(): string | undefined {
    const { db, damage } = openSpoolDatabase(path)
    db.close()
    return damage
  }

  /** Has a statement give or throw something else. */
  function pretend(sql: string, get: () => Record<string, number>): void {
    DatabaseSync.prototype.prepare = function (asked) {
      return asked === sql ? Object.assign(prepare.call(this, asked), { get }) : prepare.call(this, asked)
    }
  }

  /** A spool of the release before, with rubbish over the index of its ids. */
  function makeDamaged(): void {
    const db = new DatabaseSync(path)
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE spool (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT')
    db.exec(`INSERT INTO spool (id) VALUES ${Array.from({ length: 1000 }, (_, i) => `('id ${i}')`)}`)
    const { page } = db.prepare(`SELECT rootpage AS page FROM sqlite_schema WHERE type = 'index'`).get() as { page: number }
    db.close()
    const content = fs.readFileSync(path)
    fs.writeFileSync(path, content.fill(0x5a, (page - 1) * PAGE, page * PAGE))
  }

  it('has the file for itself', () => {
    const { db } = openSpoolDatabase(path)
    assert.throws(() => openSpoolDatabase(path), { message: 'database is locked' })
    db.close()
    assert.equal(openAndClose(), undefined)
  })

  it('changes nothing in a damaged file, though it is of the release before', () => {
    makeDamaged()
    const before = fs.readFileSync(path)
    assert.match(openAndClose() ?? '', /page/)
    assert.ok(fs.readFileSync(path).equals(before))
  })

  it('looks for damage in 128 MiB, and not in more', () => {
    makeDamaged()
    const pages = (128 * 2 ** 20) / PAGE
    pretend('PRAGMA page_count', () => ({ page_count: pages }))
    assert.notEqual(openAndClose(), undefined)
    DatabaseSync.prototype.prepare = prepare
    fs.rmSync(path)
    makeDamaged()
    pretend('PRAGMA page_count', () => ({ page_count: pages + 1 }))
    assert.equal(openAndClose(), undefined)
  })

  for (const [what, errcode] of [
    ['is damaged', 11],
    ['is not a database', 26],
  ] as const) {
    it(`takes the word of SQLite for it that the file ${what}`, () => {
      pretend('PRAGMA quick_check(1)', () => {
        throw Object.assign(new Error('so it is'), { errcode })
      })
      assert.equal(openAndClose(), 'so it is')
    })
  }

  it('does not take a disk that cannot be read for damage', () => {
    pretend('PRAGMA quick_check(1)', () => {
      throw Object.assign(new Error('disk I/O error'), { errcode: 266 })
    })
    assert.throws(openAndClose, { message: 'disk I/O error' })
  })

  it("leaves the mode of another user's file as it is", () => {
    openAndClose()
    fs.chmodSync(path, 0o644)
    Object.assign(process, { getuid: () => 4_000_000 })
    openAndClose()
    assert.equal(fs.statSync(path).mode & 0o777, 0o644)
  })

  it('opens a file where users have no numbers', () => {
    fs.writeFileSync(path, '')
    fs.chmodSync(path, 0o644)
    Object.assign(process, { getuid: undefined })
    assert.equal(openAndClose(), undefined)
  })

  it('leaves no file open but those of SQLite', () => {
    const { openSync, closeSync } = fs
    const open = new Set<number>()
    fs.openSync = (name, flags, mode) => {
      const descriptor = openSync(name, flags, mode)
      open.add(descriptor)
      return descriptor
    }
    fs.closeSync = descriptor => {
      open.delete(descriptor)
      closeSync(descriptor)
    }
    syncBuiltinESMExports()
    try {
      openAndClose()
    } finally {
      Object.assign(fs, { openSync, closeSync })
      syncBuiltinESMExports()
    }
    assert.equal(open.size, 0)
  })

  it('counts what the file holds, and not what is free in it', () => {
    const { db } = openSpoolDatabase(path)
    const empty = contentBytes(db)
    db.exec(`INSERT INTO spool (id, object_ids, received_ms) VALUES ('a', '${'x'.repeat(100_000)}', 1)`)
    const full = contentBytes(db)
    assert.ok(full > empty + 90_000 && full % PAGE === 0, `${empty}, then ${full}`)
    db.exec('DELETE FROM spool')
    assert.equal(contentBytes(db), empty)
    db.close()
  })
})
