import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { hashOfKey } from '../adapters/access-key.ts'
import { isKeyShaped } from '../domain/workspaces/access-key.ts'
import { openTestStorage, type TestStorage } from './adapters/postgres/test-storage.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

describe('make key', function () {
  this.timeout(20_000)
  let storage: TestStorage

  before(async () => {
    storage = await openTestStorage()
  })

  after(() => storage.close())

  function run(command: string, args: readonly string[], env: Record<string, string> = {}) {
    return new Promise<{ code: number; stdout: string; stderr: string }>(resolve => {
      const settings = { PATH: process.env['PATH'], DATABASE_URL: storage.url, ...env }
      execFile(command, args, { cwd: ROOT, env: settings }, (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      )
    })
  }
  const makeKey = (args: readonly string[], env?: Record<string, string>) =>
    run(process.execPath, ['services/callback-service/make-key.ts', ...args], env)

  it('prints a new key alone, and says that it created the workspace', async () => {
    // What this process runs with is installed and generated, whatever the times of the files say. A second npm would take it away.
    const installed = ['-o', 'node_modules/.package-lock.json', '-o', 'prisma/client/client.ts']
    const { code, stdout, stderr } = await run('make', [...installed, 'key', 'WORKSPACE=shop', 'ROLE=send'])
    assert.deepEqual([code, stderr], [0, 'make-key: created the workspace shop\n'])
    const key = stdout.trimEnd()
    assert.ok(isKeyShaped(key) && stdout === `${key}\n`, stdout)
    assert.deepEqual(await storage.query('SELECT workspace, role, hash FROM access_keys'), [
      { workspace: 'shop', role: 'send', hash: hashOfKey(key) },
    ])
  })

  it('makes a key in a database that is thrown away', async () => {
    const alter = (what: string) => storage.query(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I ${what}', current_database()); END $$`)
    await alter('SET answerback.durability = none')
    assert.equal((await makeKey(['--workspace=default', '--role=read'])).code, 0)
    await alter('RESET answerback.durability')
  })

  it('says nothing else about a workspace that exists', async () => {
    const { code, stderr } = await makeKey(['--workspace=default', '--role=manage', '--key-name=ops'])
    assert.deepEqual([code, stderr], [0, ''])
    assert.deepEqual(await storage.query(`SELECT role, name FROM access_keys WHERE role = 'manage'`), [{ role: 'manage', name: 'ops' }])
  })

  for (const [what, args, said] of [
    ['no arguments', [], /workspace/],
    ['an unknown role', ['--workspace=shop', '--role=superuser'], /role/],
    ['a name that no workspace can have', ['--workspace=sh.op', '--role=send'], /workspace must have 1 to 64 characters/],
    ['a name that is too long', ['--workspace=shop', '--role=send', `--key-name=${'x'.repeat(101)}`], /keyName must have at most 100/],
    ['an unknown argument', ['--workspace=shop', '--role=send', '--rolle=x'], /rolle/],
  ] as const) {
    it(`exits with 2 for ${what}, and prints no key`, async () => {
      const { code, stdout, stderr } = await makeKey(args)
      assert.deepEqual([code, stdout], [2, ''])
      assert.match(stderr, said)
      assert.doesNotMatch(stderr, /^ +at /m)
    })
  }

  it('exits with 1 if it cannot reach the database', async () => {
    const { code, stdout, stderr } = await makeKey(['--workspace=shop', '--role=send'], {
      DATABASE_URL: 'postgresql://a:secret@127.0.0.1:1/a',
    })
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^make-key: .*127\.0\.0\.1:1\n$/)
    assert.doesNotMatch(stderr, /secret/)
  })
})
