import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { withClient } from '../../../test/support/database.ts'
import { freePort, isPortFree } from '../ports.ts'
import { LocalPostgres } from '../postgres.ts'
import { preparePostgresHome } from '../postgres-home.ts'

const isRoot = process.getuid?.() === 0

describe('LocalPostgres', () => {
  let parent: string
  let folder: string
  let server: LocalPostgres
  let port: number

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'answerback-postgres-'))
    folder = join(parent, 'postgres')
    // Only the owner can enter a folder made by mkdtemp. Tests that need such a folder make their own.
    await chmod(parent, 0o755)
    port = await freePort()
    server = new LocalPostgres({ folder, port, isThrowaway: true })
  })

  afterEach(async () => {
    await server.stop()
    await server.remove()
    await rm(parent, { recursive: true })
  })

  it('keeps its data over a restart, and disconnects all clients when it stops', async () => {
    server = new LocalPostgres({ folder, port })
    await server.start()
    await server.createDatabase('answerback')
    const url = server.url('answerback')
    const client = new pg.Client(url)
    client.on('error', () => {})
    await client.connect()
    await client.query('CREATE TABLE kept AS SELECT 7 AS n')
    const disconnected = new Promise<void>(resolve => client.once('end', resolve))
    await server.stop()
    await disconnected
    await assert.rejects(
      withClient(url, async () => {}),
      { code: 'ECONNREFUSED' },
    )

    await server.start()
    await server.createDatabase('answerback')
    const { rows } = await withClient(url, again => again.query(`SELECT n, current_setting('TimeZone') AS zone FROM kept`))
    assert.deepEqual(rows, [{ n: 7, zone: 'UTC' }])
  })

  it('refuses connections without the password', async () => {
    await server.start()
    const url = new URL(server.url('postgres'))
    url.password = 'guess'
    await assert.rejects(
      withClient(url.href, async () => {}),
      { code: '28P01' },
    )
  })

  it('starts again after its process was killed, with all committed data', async () => {
    server = new LocalPostgres({ folder, port })
    await server.start()
    await withClient(server.url('postgres'), client => client.query('CREATE TABLE kept AS SELECT 7 AS n'))
    process.kill(await serverPid(), 'SIGKILL')
    await server.exited
    await server.start()
    const { rows } = await withClient(server.url('postgres'), client => client.query('SELECT n FROM kept'))
    assert.deepEqual(rows, [{ n: 7 }])
  })

  it('ends when the process that started it is killed', async () => {
    const code = `
      import { LocalPostgres } from ${JSON.stringify(new URL('../postgres.ts', import.meta.url).href)}
      const server = new LocalPostgres(${JSON.stringify({ folder, port, isThrowaway: true })})
      await server.start()
      console.log('started')
      setInterval(() => {}, 1000)`
    const starter = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(starter.stdout, 'data')
    starter.kill('SIGKILL')
    await once(starter, 'exit')
    await untilFree(port)
    await server.start()
  })

  it('starts although a lock file has a process id that now belongs to another process', async () => {
    await server.start()
    await server.stop()
    const { folder: home, user } = await preparePostgresHome(folder, () => {})
    const data = join(home, 'data')
    // The process has the same user as the server. Postgres itself ignores processes of other users.
    const somebody = spawn('sleep', ['60'], { ...user, cwd: '/' })
    await writeFile(join(data, 'postmaster.pid'), `${somebody.pid}\n${data}\n1\n${port}\n\n127.0.0.1\n  1  2\nready   \n`)
    await server.start()
    somebody.kill()
  })

  it('reports the end of its log if its port is taken', async () => {
    const taken = createServer().listen(port, '127.0.0.1')
    await once(taken, 'listening')
    await assert.rejects(server.start(), {
      code: 'postgres_unavailable',
      message: /PostgreSQL did not start; the end of \S+server\.log:\n(.*\n)*.*could not bind IPv4 address "127\.0\.0\.1"/,
    })
    taken.close()
  })

  it('picks a free port if the port is 0', async () => {
    const throwaway = new LocalPostgres({ folder: join(parent, 'throwaway'), port: 0, isThrowaway: true })
    await throwaway.start()
    const { rows } = await withClient(throwaway.url('postgres'), client => client.query('SELECT 1 AS one'))
    assert.deepEqual(rows, [{ one: 1 }])
    await throwaway.stop()
    await throwaway.remove()
  })

  if (isRoot) {
    it('runs from a copy if the system user cannot enter its folder, says so, and leaves nothing when removed', async () => {
      const closed = join(parent, 'closed')
      await mkdir(closed, { mode: 0o700 })
      const said: string[] = []
      const hidden = new LocalPostgres({ folder: join(closed, 'postgres'), port, isThrowaway: true, say: line => said.push(line) })
      await hidden.start()
      await withClient(hidden.url('postgres'), client => client.query('SELECT 1'))
      await hidden.stop()
      const [, staged] = /its data is in (\/var\/tmp\/answerback-\w+)$/.exec(said.join()) ?? []
      assert.ok(staged, said.join())
      assert.match(await readFile(join(staged, 'server.log'), 'utf8'), /database system is ready/)
      await hidden.remove()
      await assert.rejects(readFile(join(staged, 'server.log')), { code: 'ENOENT' })
    })

    it('does not use a staging folder of another user', async () => {
      const closed = join(parent, 'closed')
      await mkdir(closed, { mode: 0o700 })
      const said: string[] = []
      const { folder: staged } = await preparePostgresHome(join(closed, 'postgres'), line => said.push(line))
      await chown(staged, 12_345, 12_345)
      await assert.rejects(
        preparePostgresHome(join(closed, 'postgres'), () => {}),
        { message: `${staged} belongs to another user: remove it and try again` },
      )
      await rm(staged, { recursive: true })
    })
  }

  async function serverPid(): Promise<number> {
    const home = await preparePostgresHome(folder, () => {})
    return Number.parseInt(await readFile(join(home.folder, 'data/postmaster.pid'), 'utf8'), 10)
  }
})

async function untilFree(port: number): Promise<void> {
  const deadline = performance.now() + 5000
  while (!(await isPortFree(port, '127.0.0.1'))) {
    if (performance.now() > deadline) throw new Error('the server is still there')
    await sleep(20)
  }
}
