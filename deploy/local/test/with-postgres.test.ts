import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { isPortFree } from '../ports.ts'

const WITH_POSTGRES = fileURLToPath(new URL('../../../test/support/with-postgres.ts', import.meta.url))

describe('with-postgres', () => {
  it('runs a command with its own server, passes arguments and exit code on, and leaves no server', async () => {
    const script = `
      const pg = require('pg'); const client = new pg.Client(process.env.TEST_DATABASE_URL)
      client.connect().then(() => client.query('SELECT 40 + 2 AS n')).then(({ rows }) => {
        console.log(process.env.TEST_DATABASE_URL, rows[0].n, process.argv[1]); process.exit(7) })`
    const child = withPostgres(['node', '--eval', script, 'an argument'], {})
    const [[url, answer, ...argument], exit] = await Promise.all([firstLine(child), once(child, 'exit')])
    assert.deepEqual([answer, argument.join(' '), exit[0]], ['42', 'an argument', 7])
    assert.ok(await isPortFree(Number(new URL(String(url)).port), '127.0.0.1'))
  })

  it('runs a command with as many servers as it is asked for', async () => {
    const child = withPostgres(['--servers=2', 'node', '--eval', 'console.log(process.env.TEST_DATABASE_URL)'], {})
    const [urls] = await Promise.all([firstLine(child), once(child, 'exit')])
    const ports = urls.map(url => Number(new URL(url).port))
    assert.equal(new Set(ports).size, 2)
    for (const port of ports) assert.ok(await isPortFree(port, '127.0.0.1'))
  })

  it('ends the command and the server when it is told to', async () => {
    const child = withPostgres(['node', '--eval', 'console.log(process.env.TEST_DATABASE_URL); setInterval(() => {}, 1000)'], {})
    const [url] = await firstLine(child)
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'exit'), [143, null])
    assert.ok(await isPortFree(Number(new URL(String(url)).port), '127.0.0.1'))
  })

  it('starts no server if TEST_DATABASE_URL names one', async () => {
    const child = withPostgres(['node', '--eval', 'console.log(process.env.TEST_DATABASE_URL)'], {
      TEST_DATABASE_URL: 'postgresql://given/',
    })
    assert.deepEqual(await firstLine(child), ['postgresql://given/'])
  })
})

function withPostgres(command: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const { TEST_DATABASE_URL, ...inherited } = process.env
  return spawn(process.execPath, [WITH_POSTGRES, ...command], { env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
}

async function firstLine(child: ChildProcess): Promise<string[]> {
  assert.ok(child.stdout)
  const [chunk] = await once(child.stdout, 'data')
  return String(chunk).trim().split(' ')
}
