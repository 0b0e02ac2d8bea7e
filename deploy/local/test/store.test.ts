import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTestDatabase, withClient } from '../../../test/support/database.ts'
import { isPortFree } from '../ports.ts'
import { freeRunPorts, type MakeRun, MakeRuns, type RunPorts, until } from './make-run.ts'

const KILLED = 'which a killed run left behind'

describe('make run STORE=', function () {
  this.timeout(60_000)
  let runs: MakeRuns
  let ports: RunPorts

  beforeEach(async () => {
    runs = new MakeRuns()
    ports = await freeRunPorts()
  })

  afterEach(() => runs.stop())

  const run = (env: Readonly<Record<string, string>>): MakeRun => runs.start({ EMITTER_ENABLED: 'false', ...ports, ...env })
  const send = async (to = ports): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${to.CALLBACK_PORT}/callback`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"object_ids":[7]}',
    })
    return ((await response.json()) as { durability: string }).durability
  }
  const folderOf = ({ log }: MakeRun): string => /in (\/\S+answerback-ephemeral-\w+)/.exec(log())?.[1] ?? assert.fail(log())

  it('ephemeral says that nothing is kept, and leaves nothing behind', async () => {
    const ephemeral = run({ STORE: 'ephemeral' })
    await until(ephemeral.log, /NOTHING IS KEPT\. The database is [^\n]+ GiB of room\.[\s\S]*Ready after/)
    assert.equal(await send(), 'none')
    const folder = folderOf(ephemeral)
    assert.match(ephemeral.log(), new RegExp(`psql "\\$\\(cat ${folder}/database-url\\)"`))
    assert.deepEqual(
      ['database-url', 'postgres', 'spool/callbacks.sqlite.unkept'].map(name => existsSync(join(folder, name))),
      [true, true, true],
    )

    ephemeral.child.kill('SIGTERM')
    assert.deepEqual(await once(ephemeral.child, 'exit'), [0, null])
    assert.equal(existsSync(folder), false)
  })

  it('ephemeral goes on after its service and its server were killed, with what they had', async () => {
    const ephemeral = run({ STORE: 'ephemeral' })
    await until(ephemeral.log, /Ready after/)
    await send()
    const url = await urlOf(folderOf(ephemeral))
    process.kill(Number(/callback │ INFO {2}service started pid=(\d+)/.exec(ephemeral.log())?.[1]), 'SIGKILL')
    await until(ephemeral.log, /callback-service ended unexpectedly[\s\S]*callback │ INFO {2}service started/)
    process.kill(await serverPid(url), 'SIGKILL')
    await until(ephemeral.log, /PostgreSQL ended unexpectedly/)
    await until(async () => String(await countCallbacks(url).catch(String)), /^1$/)
    await until(async () => String((await fetch(`http://127.0.0.1:${ports.CALLBACK_PORT}/readyz`)).status), /200/)
    assert.equal(await send(), 'none')
  })

  it('ephemeral deletes its database even if it is killed, and the next run what is left', async () => {
    const killed = run({ STORE: 'ephemeral' })
    await until(killed.log, /Ready after/)
    const folder = folderOf(killed)
    killed.child.kill('SIGKILL')
    // The server runs as another user if we are root. That user may not delete the folder itself.
    await until(() => String(existsSync(join(folder, 'postgres/data/base'))), /false/)
    for (const port of Object.values(ports)) await until(async () => String(await isPortFree(Number(port), '127.0.0.1')), /true/)
    const hasLeftovers = existsSync(folder)
    const next = run({ STORE: 'ephemeral' })
    await until(next.log, /Ready after/)
    assert.equal(next.log().includes(`deleted ${folder}, ${KILLED}`), hasLeftovers)
    assert.equal(existsSync(folder), false)
  })

  it('ephemeral deletes its database if a second signal kills everything', async () => {
    const killed = run({ STORE: 'ephemeral' })
    await until(killed.log, /Ready after/)
    const folder = folderOf(killed)
    killed.child.kill('SIGTERM')
    await until(killed.log, /a second Ctrl-C kills everything/)
    killed.child.kill('SIGTERM')
    await once(killed.child, 'exit')
    await until(() => String(existsSync(join(folder, 'postgres/data/base'))), /false/)
  })

  it('ephemeral runs twice at once, beside each other', async () => {
    const others = await freeRunPorts()
    const [one, two] = [run({ STORE: 'ephemeral' }), run({ STORE: 'ephemeral', ...others })]
    for (const { log } of [one, two]) await until(log, /Ready after/)
    assert.notEqual(folderOf(one), folderOf(two))
    await send(ports)
    assert.deepEqual(await Promise.all([one, two].map(async each => countCallbacks(await urlOf(folderOf(each))))), [1, 0])
  })

  it('ephemeral has a database that a service which keeps its callbacks does not use', async () => {
    const ephemeral = run({ STORE: 'ephemeral' })
    await until(ephemeral.log, /Ready after/)
    const others = await freeRunPorts()
    const keeping = run({ STORE: 'external', DATABASE_URL: await urlOf(folderOf(ephemeral)), SPOOL_PATH: '', ...others })
    await until(keeping.log, /the database says that nothing in it is kept/)
    assert.doesNotMatch(keeping.log(), /Ready after/)
    keeping.child.kill('SIGTERM')
    await once(keeping.child, 'exit')
  })

  it('external uses the database of DATABASE_URL, and refuses to keep nothing there', async () => {
    const database = await createTestDatabase({ isEmpty: true })
    const env = { STORE: 'external', DATABASE_URL: database.url, SPOOL_PATH: '' }
    const external = run(env)
    await until(external.log, /Ready after/)
    assert.equal(await send(), 'database')
    assert.match(external.log(), /database +your own, from DATABASE_URL/)
    await runs.stop()

    const careless = run({ ...env, DATABASE_DURABILITY: 'none' })
    assert.deepEqual(await once(careless.child, 'close'), [1, null])
    assert.match(careless.log(), /it may hold callbacks of a service that keeps them/)
    await database.drop()
  })

  for (const [what, env, sentence] of [
    ['an unknown name', { STORE: 'memory' }, /^store: must be one of/],
    ['external without a database', { STORE: 'external' }, /^STORE=external needs DATABASE_URL/],
    ['embedded with a database', { STORE: 'embedded', DATABASE_URL: 'postgresql://u:p@h/d' }, /^STORE=embedded starts its own PostgreSQL/],
    ['ephemeral with a database', { STORE: 'ephemeral', DATABASE_URL: 'postgresql://u:p@h/d' }, /^STORE=ephemeral starts its own/],
    [
      'ephemeral that keeps',
      { STORE: 'ephemeral', DATABASE_DURABILITY: 'full' },
      /^STORE=ephemeral keeps nothing, but DATABASE_DURABILITY/,
    ],
  ] as const) {
    it(`is refused in one sentence: ${what}`, async () => {
      const { child, log } = run(env)
      assert.deepEqual(await once(child, 'close'), [1, null])
      assert.match(log(), sentence)
      assert.equal(log().trim().split('\n').length, 1)
    })
  }

  async function urlOf(folder: string): Promise<string> {
    return (await readFile(join(folder, 'database-url'), 'utf8')).trim()
  }

  async function countCallbacks(url: string): Promise<number> {
    const { rows } = await withClient(url, client => client.query('SELECT count(*)::int AS count FROM callbacks'))
    return rows[0].count
  }

  async function serverPid(url: string): Promise<number> {
    const { rows } = await withClient(url, client =>
      client.query(`SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int AS pid`),
    )
    return rows[0].pid
  }
})
