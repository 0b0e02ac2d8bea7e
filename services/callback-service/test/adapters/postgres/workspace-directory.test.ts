import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { until } from '../../../../../test/support/eventually.ts'
import { hashOfKey } from '../../../adapters/access-key.ts'
import { WorkspaceDirectory } from '../../../adapters/postgres/workspace-directory.ts'
import { StorageUnavailableError } from '../../../domain/storage-errors.ts'
import { newWorkspaces, SEND_KEY } from './new-workspaces.ts'
import { openTestStorage, type TestStorage } from './test-storage.ts'

const NOWHERE = 'postgresql://nobody@127.0.0.1:1/nothing'

describe('WorkspaceDirectory', () => {
  let storage: TestStorage
  let folder: string
  let started: WorkspaceDirectory[]

  before(async () => {
    storage = await openTestStorage()
  })

  beforeEach(async () => {
    started = []
    folder = await mkdtemp(join(tmpdir(), 'answerback-access-'))
    await storage.query('TRUNCATE access_keys')
    await storage.query(`DELETE FROM workspaces WHERE name <> 'default'`)
    await storage.query('UPDATE access_revision SET number = number + 1')
  })

  afterEach(async () => {
    await Promise.all(started.map(directory => directory.stop()))
    await rm(folder, { recursive: true })
  })

  after(() => storage.close())

  async function start(url?: string, snapshotPath?: string): Promise<WorkspaceDirectory> {
    const { directory } = newWorkspaces(storage.open(url === undefined ? {} : { url }), snapshotPath === undefined ? {} : { snapshotPath })
    started.push(directory)
    await directory.start()
    return directory
  }

  /** Starts a directory that cannot reach the database. @returns it, and what it logged */
  async function startAway(snapshotPath: string) {
    const lines: { msg: string; reason?: string }[] = []
    const logger = pino({ level: 'info' }, { write: line => lines.push(JSON.parse(line)) })
    const directory = new WorkspaceDirectory({ prisma: storage.open({ url: NOWHERE }).prisma, snapshotPath, logger })
    started.push(directory)
    await directory.start()
    return { directory, lines }
  }

  async function shopWithKey() {
    const { workspaces, keys } = newWorkspaces(storage.open())
    const shop = await workspaces.create({ name: 'shop', signingSecrets: ['secret'], limits: { burst: 5 } })
    const made = await keys.create('shop', { ...SEND_KEY, expiresAt: new Date('2100-01-01T00:00:00Z') })
    assert.ok(made)
    return { workspaces, keys, shop, key: made.key, id: made.listed.id, hash: hashOfKey(made.key) }
  }

  it('finds default before it has read anything only if it has a snapshot, because it may have secrets of senders', () => {
    const database = storage.open({ url: NOWHERE })
    const [without, directory] = [newWorkspaces(database).directory, newWorkspaces(database, { snapshotPath: folder }).directory]
    assert.deepEqual([without.isLoaded, without.all, without.find('default')], [false, [], undefined])
    assert.deepEqual([directory.isLoaded, directory.all.map(({ name }) => name), directory.find('shop')], [false, ['default'], undefined])
    assert.equal(directory.find('default')?.archivedAt, null)
  })

  it('knows all workspaces and keys once it is started', async () => {
    const { shop, hash, id } = await shopWithKey()
    const directory = await start()
    assert.equal(directory.isLoaded, true)
    assert.deepEqual(directory.find('shop'), shop)
    assert.deepEqual(directory.all.map(({ name }) => name).toSorted(), ['default', 'shop'])
    assert.deepEqual(directory.keyWithHash(hash), {
      id,
      workspace: 'shop',
      role: 'send',
      hash,
      expiresAt: new Date('2100-01-01T00:00:00Z'),
      agentId: null,
    })
    assert.equal(directory.keyWithHash(hashOfKey('another')), undefined)
  })

  it('sees within two seconds what another replica changes, and says so', async () => {
    const { workspaces, keys, hash, id } = await shopWithKey()
    const directory = await start()
    let changes = 0
    directory.onChange(() => {
      changes += 1
    })
    await keys.delete('shop', id)
    await until(() => directory.keyWithHash(hash) === undefined, 2000)
    await workspaces.change('shop', { isPaused: true })
    await until(() => directory.find('shop')?.isPaused, 2000)
    assert.equal(changes, 2)
  })

  it('sees at once what was changed before a refresh', async () => {
    const directory = await start()
    const { hash } = await shopWithKey()
    assert.equal(directory.keyWithHash(hash), undefined)
    await directory.refresh()
    assert.equal(directory.keyWithHash(hash)?.role, 'send')
  })

  it('sees another change that has the number of a lost one, as after a failover', async () => {
    const { hash, id } = await shopWithKey()
    const directory = await start()
    assert.ok(directory.keyWithHash(hash))
    await storage.query('DELETE FROM access_keys WHERE id = $1', [id])
    await storage.query('UPDATE access_revision SET number = number')
    await directory.refresh()
    assert.equal(directory.keyWithHash(hash), undefined)
  })

  it('is not loaded, and says why, while the row that counts changes is missing', async () => {
    await storage.query('DELETE FROM access_revision')
    try {
      const directory = await start()
      assert.deepEqual([directory.isLoaded, directory.hasRead], [false, false])
      await until(() => directory.problem?.includes('access_revision has no row'))
    } finally {
      await storage.query('INSERT INTO access_revision DEFAULT VALUES')
    }
  })

  it('looks at most once in a tenth of a second, however often it is asked', async () => {
    let looks = 0
    const { prisma } = storage.open()
    const counting = new Proxy(prisma, {
      get(target, name) {
        if (name === '$queryRaw') looks += 1
        return Reflect.get(target, name)
      },
    })
    const directory = new WorkspaceDirectory({ prisma: counting, logger: pino({ level: 'silent' }) })
    const began = performance.now()
    for (let i = 0; i < 5; i += 1) await Promise.all(Array.from({ length: 50 }, () => directory.refresh()))
    // The first look also reads everything.
    assert.equal(looks, 1 + 4)
    // A timer may end a millisecond early.
    assert.ok(performance.now() - began >= 390, `${performance.now() - began} ms`)
  })

  it('keeps the last state while the database is away, and says so to those who refresh', async () => {
    const { hash } = await shopWithKey()
    const directory = await start()
    await started[0]?.stop()
    await storage.query('ALTER TABLE access_revision RENAME TO away')
    try {
      await assert.rejects(directory.refresh(), StorageUnavailableError)
      assert.ok(directory.keyWithHash(hash))
    } finally {
      await storage.query('ALTER TABLE away RENAME TO access_revision')
    }
    await directory.refresh()
  })

  it('says in the log and to health checks that it is out of date, and that it no longer is', async () => {
    const lines: { level: number; msg: string; reason?: string }[] = []
    const logger = pino({ level: 'info' }, { write: line => lines.push(JSON.parse(line)) })
    const directory = new WorkspaceDirectory({ prisma: storage.open().prisma, logger })
    started.push(directory)
    await directory.start()
    assert.equal(directory.problem, undefined)
    await storage.query('ALTER TABLE access_revision RENAME TO away')
    try {
      await until(() => lines.length > 0)
    } finally {
      await storage.query('ALTER TABLE away RENAME TO access_revision')
    }
    const reason = 'the database is not migrated: run `make migrate`'
    assert.equal(directory.problem, `the workspaces and keys are out of date: ${reason}`)
    await until(() => directory.problem === undefined && lines.length > 1)
    assert.deepEqual(
      lines.map(line => [line.level, line.msg, line.reason]),
      [
        [40, 'the workspaces and keys are out of date', reason],
        [30, 'the workspaces and keys are up to date again', undefined],
      ],
    )
  })

  it('makes callers wait for a silent database no longer than a second', async () => {
    const directory = await start()
    await started[0]?.stop()
    const lock = storage.query(`DO $$ BEGIN LOCK TABLE access_revision; PERFORM pg_sleep(3); END $$`)
    await until(
      async () =>
        (await storage.query(`SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'access_revision'::regclass`)).length,
    )
    const began = performance.now()
    await assert.rejects(directory.refresh(), /did not answer in time/)
    assert.ok(performance.now() - began < 2500)
    await lock
  })

  describe('with a snapshot', () => {
    const path = (): string => join(folder, 'spool.access.json')

    async function snapshot() {
      const shop = await shopWithKey()
      const directory = await start(undefined, path())
      await until(() => stat(path()).catch(() => undefined))
      await directory.stop()
      return shop
    }

    it('knows its keys after a restart without the database', async () => {
      const { shop, hash, id } = await snapshot()
      const { directory, lines } = await startAway(path())
      assert.equal(directory.isLoaded, true)
      assert.deepEqual(directory.find('shop'), shop)
      assert.deepEqual(directory.keyWithHash(hash), {
        id,
        workspace: 'shop',
        role: 'send',
        hash,
        expiresAt: new Date('2100-01-01T00:00:00Z'),
        agentId: null,
      })
      assert.deepEqual(
        lines.map(({ msg }) => msg),
        ['the database is away: the keys are those of the snapshot'],
      )
    })

    it('writes a file that only its owner can read, without any key', async () => {
      await writeFile(`${path()}.new`, 'left behind by a crash', { mode: 0o666 })
      await chmod(`${path()}.new`, 0o666)
      const { key } = await snapshot()
      assert.equal((await stat(path())).mode & 0o777, 0o600)
      assert.ok(!(await readFile(path(), 'utf8')).includes(key.slice('ab_shop_'.length)))
    })

    it('forgets a revoked key in the file too', async () => {
      const { keys, hash, id } = await shopWithKey()
      await start(undefined, path())
      const isInFile = async (): Promise<boolean> => (await readFile(path(), 'utf8').catch(() => '')).includes(hash.toString('hex'))
      await until(isInFile)
      await keys.delete('shop', id)
      await until(async () => !(await isInFile()), 2000)
    })

    it('writes what it has learned although the database is away since', async () => {
      const directory = await start(undefined, path())
      await until(() => stat(path()).catch(() => undefined))
      const { hash } = await shopWithKey()
      await directory.refresh()
      await storage.query('ALTER TABLE access_revision RENAME TO away')
      try {
        await until(async () => (await readFile(path(), 'utf8')).includes(hash.toString('hex')), 3000)
      } finally {
        await storage.query('ALTER TABLE away RENAME TO access_revision')
      }
    })

    for (const [what, damage] of [
      ['a cut-off file', (text: string) => text.slice(0, -20)],
      ['an empty file', () => ''],
      ['a file with another role', (text: string) => text.replace('"send"', '"manage"')],
      ['a file of another release', (text: string) => text.replace('"version":2', '"version":1')],
      ['a file of null', () => 'null'],
    ] as const) {
      it(`ignores ${what}, and says so`, async () => {
        const { hash } = await snapshot()
        await writeFile(path(), damage(await readFile(path(), 'utf8')))
        const { directory, lines } = await startAway(path())
        assert.deepEqual([directory.isLoaded, directory.keyWithHash(hash)], [false, undefined])
        assert.deepEqual(
          lines.map(({ msg }) => msg),
          ['the snapshot of the keys cannot be used'],
        )
      })
    }

    it('starts without a file', async () => {
      const { directory, lines } = await startAway(path())
      assert.equal(directory.isLoaded, false)
      assert.match(lines[0]?.reason ?? '', /ENOENT/)
    })

    it('prefers the database to the file', async () => {
      const { keys, hash, id } = await snapshot()
      await keys.delete('shop', id)
      const directory = await start(undefined, path())
      assert.equal(directory.keyWithHash(hash), undefined)
    })
  })
})
