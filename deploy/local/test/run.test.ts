import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { freePort, isPortFree } from '../ports.ts'
import { freeRunPorts, type MakeRun, MakeRuns, type RunPorts, until } from './make-run.ts'

describe('make run', () => {
  let database: TestDatabase
  let ports: RunPorts
  let runs: MakeRuns

  beforeEach(async () => {
    runs = new MakeRuns()
    database = await createTestDatabase({ isEmpty: true })
    ports = await freeRunPorts()
  })

  afterEach(async () => {
    await runs.stop()
    await database.drop()
  })

  it('migrates, starts both services, says what to open and counts; SIGTERM stops the client service first, and ends with 0', async () => {
    const { child, log } = run({ SUMMARY_INTERVAL_MS: '200', LATENCY_MIN_MS: '1', LATENCY_MAX_MS: '20', EMITTER_INTERVAL_MS: '50' })
    await until(log, /stored [1-9]/)
    assert.match(log(), /migrated the database: \d+_/)
    assert.match(log(), new RegExp(`\\n  Open http://localhost:${ports.CALLBACK_ADMIN_PORT}/ to watch the callbacks[^]*\\n  Ready after`))
    assert.match(log(), new RegExp(`callback service +http://localhost:${ports.CALLBACK_PORT}/`))
    assert.match(log(), /accepted [1-9]\d* \(\+\d+\) · in flight \d+ · stored [1-9]/)

    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'exit'), [0, null])
    assert.match(
      log(),
      /client +│ INFO {2}service stopped[\s\S]*callback │ INFO {2}service stopping[\s\S]*callback │ INFO {2}service stopped/,
    )
    for (const port of Object.values(ports)) assert.ok(await isPortFree(Number(port), '0.0.0.0'), `${port} is free again`)
  })

  it('serves the live page, which reaches the switches of the client service', async () => {
    const { log } = run({})
    await until(log, /Ready after/)
    const admin = `http://localhost:${ports.CALLBACK_ADMIN_PORT}`
    assert.match(await (await fetch(`${admin}/`)).text(), /<title>Answerback<\/title>/)
    const { faults } = (await (await fetch(`${admin}/client-service/config`)).json()) as { faults: { down: boolean } }
    assert.equal(faults.down, false)
  })

  it('listens on loopback alone, and says how to open it', async () => {
    const { log } = run({})
    await until(log, /Ready after/)
    // Another address of this machine. A service on 127.0.0.1 does not answer there, one on 0.0.0.0 does.
    for (const port of [ports.CALLBACK_PORT, ports.CLIENT_PORT]) assert.equal(await answers(`http://127.0.0.2:${port}/livez`), false)
    assert.match(log(), /Only this machine can reach the services\. To open them to others: HTTP_HOST=0\.0\.0\.0 make run/)
  })

  it('listens on the address in HTTP_HOST, and both services find each other there', async () => {
    const { log } = run({
      HTTP_HOST: '127.0.0.2',
      EMITTER_INTERVAL_MS: '50',
      LATENCY_MAX_MS: '20',
      LATENCY_MIN_MS: '1',
      SUMMARY_INTERVAL_MS: '200',
    })
    await until(log, /stored [1-9]/)
    for (const port of [ports.CALLBACK_PORT, ports.CLIENT_PORT]) assert.equal(await answers(`http://127.0.0.2:${port}/livez`), true)
    assert.match(log(), new RegExp(`callback service +http://127\\.0\\.0\\.2:${ports.CALLBACK_PORT}/`))
  })

  it('listens beyond loopback if keys are needed', async () => {
    const { log } = run({ ACCESS_MODE: 'keys' })
    await until(log, /Ready after/)
    assert.equal(await answers(`http://127.0.0.2:${ports.CALLBACK_PORT}/livez`), true)
    assert.equal(await answers(`http://127.0.0.2:${ports.CLIENT_PORT}/livez`), false)
    assert.match(log(), /The callback service listens on 0\.0\.0\.0\./)
  })

  it('says how to get a key if keys are needed, and that the client service has none', async () => {
    const { log } = run({ ACCESS_MODE: 'keys' })
    await until(log, /Ready after [^\n]* Every caller needs a key, and the client service has none, so its callbacks are refused\./)
    assert.match(log(), / {4}KEY=\$\(make key WORKSPACE=default ROLE=manage\)\n {4}curl -i [^\n]*\/callback -H "X-API-Key: \$KEY" /)
  })

  it('lets the client service use the first superuser key', async () => {
    const { log } = run({
      ACCESS_SUPERUSER_KEYS: `${'a'.repeat(32)} ${'b'.repeat(32)}`,
      EMITTER_INTERVAL_MS: '50',
      SUMMARY_INTERVAL_MS: '200',
    })
    await until(log, /accepted [1-9]/)
    assert.match(log(), /The client service sends a callback every 5 seconds/)
  })

  it('restarts the callback service when it is killed', async () => {
    const { log } = run({})
    await until(log, /Ready after/)
    const pid = Number(/callback │ INFO {2}service started pid=(\d+)/.exec(log())?.[1])
    process.kill(pid, 'SIGKILL')
    await until(log, /callback-service ended unexpectedly \(SIGKILL\): restarting it/)
    await until(log, /restarting it[\s\S]*callback │ INFO {2}service started/)
  })

  it('leaves no service behind when it is killed itself', async () => {
    const { child, log } = run({})
    await until(log, /Ready after/)
    child.kill('SIGKILL')
    for (const port of Object.values(ports)) await until(async () => String(await isPortFree(Number(port), '0.0.0.0')), /true/)
  })

  it('names every port that is in use, and starts nothing', async () => {
    const servers = [ports.CALLBACK_PORT, ports.CLIENT_ADMIN_PORT].map(port => createServer().listen(Number(port), '127.0.0.1'))
    await Promise.all(servers.map(server => once(server, 'listening')))
    const { child, log } = run({})
    assert.deepEqual(await once(child, 'close'), [1, null])
    assert.deepEqual(log().trim().split('\n'), [
      `port ${ports.CALLBACK_PORT} is in use, but the callback service needs it: stop the program that listens there, or choose another port with CALLBACK_PORT=`,
      `port ${ports.CLIENT_ADMIN_PORT} is in use, but the client service's admin port needs it: stop the program that listens there, or choose another port with CLIENT_ADMIN_PORT=`,
    ])
    for (const server of servers) server.close()
  })

  it('says in a sentence that a setting or the database is wrong', async () => {
    for (const [env, sentence] of [
      [{ HTTP_HOST: '192.0.2.7' }, /^http\.host: this machine cannot listen on 192\.0\.2\.7/],
      [{ CALLBACK_PORT: '12abc' }, /^callback\.port: must be an integer from 0 to 65535/],
      [{ DATABASE_URL: `postgresql://u:p@127.0.0.1:${await freePort()}/d` }, /^the database cannot be migrated: connect ECONNREFUSED/],
      [{ FETCH_CONCURRENCY: 'many' }, /callback-service ended before it was ready \(exit code 2\)/],
    ] as const) {
      const { child, log } = run(env)
      assert.deepEqual(await once(child, 'close'), [1, null])
      assert.match(log(), sentence)
      assert.doesNotMatch(log(), / {4}at /)
    }
  })

  const run = (env: Readonly<Record<string, string>>): MakeRun => runs.start({ DATABASE_URL: database.url, ...ports, ...env })
})

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url)).arrayBuffer()
    return true
  } catch (error) {
    const { cause } = error as { cause?: { code?: string } }
    assert.equal(cause?.code, 'ECONNREFUSED')
    return false
  }
}
