import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { createTestDatabase, type TestDatabase } from './support/database.ts'

const MOCHA = fileURLToPath(new URL('../node_modules/mocha/bin/mocha.js', import.meta.url))
const HOOKS = fileURLToPath(new URL('support/parallel.ts', import.meta.url))

describe('tests in two processes', () => {
  let database: TestDatabase
  let folder: string

  before(async () => {
    // The lock of another database does not wait for that of the tests around this one.
    database = await createTestDatabase({ isEmpty: true })
    folder = await mkdtemp(join(tmpdir(), 'answerback-parallel-'))
  })

  after(async () => {
    await rm(folder, { recursive: true })
    await database.drop()
  })

  /** Writes a test that notes when it begins and ends. @returns its file */
  async function write(path: string, end = ''): Promise<string> {
    const file = join(folder, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(
      file,
      `import { appendFileSync } from 'node:fs'
      import { setTimeout as sleep } from 'node:timers/promises'
      const note = what => appendFileSync(${JSON.stringify(join(folder, 'notes'))}, what + ' ')
      it('works', async () => {
        note('begin')
        await sleep(300)
        note(${JSON.stringify(path)})
        ${end}
      })`,
    )
    return file
  }

  async function run(files: readonly string[]): Promise<string> {
    const args = ['--no-config', '--parallel', '--jobs', '2', '--require', HOOKS, ...files]
    const env = { ...process.env, TEST_DATABASE_URL: database.url }
    return text(spawn(process.execPath, [MOCHA, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] }).stdout)
  }

  it('run a file of test/alone while no other runs', async () => {
    const output = await run([await write('test/alone/a.test.mjs'), await write('b.test.mjs'), await write('c.test.mjs')])
    assert.match(output, /3 passing/)
    const notes = (await readFile(join(folder, 'notes'), 'utf8')).split(' ')
    const end = notes.indexOf('test/alone/a.test.mjs')
    const before = notes.slice(0, end - 1)
    assert.equal(notes[end - 1], 'begin')
    assert.equal(before.filter(note => note === 'begin').length, before.length / 2, notes.join(' '))
  })

  it('fail a file that leaves something running', async () => {
    const output = await run([await write('e.test.mjs', 'setTimeout(() => undefined, 60_000)')])
    assert.match(output, /1 failing[\s\S]*e\.test\.mjs leaves running: Timeout/)
  })

  it('print the cause of a failure', async () => {
    const output = await run([await write('d.test.mjs', "throw new Error('outside', { cause: new Error('inside') })")])
    assert.match(output, /1 failing[\s\S]*Error: outside[\s\S]*Caused by: Error: inside/)
  })
})
