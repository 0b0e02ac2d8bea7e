import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type System, startSystem } from './support/system.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SUPERUSER_KEY = 'superuser-'.repeat(4)
const read = (file: string): string => readFileSync(`${ROOT}${file}`, 'utf8')
const run = promisify(execFile)

/** Statements that somebody would have to type. `DELETE` alone is a method of HTTP. */
const SQL = /```sql|\bpsql\b|\b(SELECT|INSERT INTO|DELETE FROM|TRUNCATE|ALTER TABLE|DROP TABLE)\b|\bUPDATE \w+ SET\b/

describe('docs/operations.md', () => {
  it('has no SQL that an operator must type', () => {
    const lines = read('docs/operations.md')
      .split('\n')
      .filter(line => SQL.test(line))
    assert.deepEqual(lines, [])
  })

  it('would be found with a statement in a table, in a block or on a command line', () => {
    for (const line of ['```sql', '| a | `UPDATE callbacks SET priority = 1` |', 'psql -c "..."', 'SELECT 1', 'DELETE FROM callbacks']) {
      assert.match(line, SQL)
    }
  })
})

describe('the commands of the documentation that are about operations', function () {
  this.timeout(60_000)
  let system: System

  before(async () => {
    system = await startSystem({ callback: { ACCESS_SUPERUSER_KEYS: SUPERUSER_KEY } })
    await system.db.query(`INSERT INTO workspaces (name) VALUES ('shop'); UPDATE access_revision SET number = number + 1`)
  })

  after(() => system?.stop())

  /** Runs all `curl` of a section in their order. `ID` and the example of an id stand for the operation that was started last. */
  async function runAll(file: string, heading: string): Promise<(readonly [status: number, kind: unknown])[]> {
    const section =
      read(file)
        .split(`\n${heading}\n`)[1]
        ?.split(/\n##+ /)[0] ?? ''
    const said: (readonly [number, unknown])[] = []
    let id = ''
    for (const command of section.match(/^curl .*$/gm) ?? []) {
      const here = command.replace('localhost:9090', system.callbackUrl).replace(/operations\/(ID|[0-9a-f-]{36})/, `operations/${id}`)
      const withStatus = here.replace(/^curl/, `curl --silent --show-error --write-out '\\n%{http_code}'`)
      const withKey = here.includes('X-API-Key') ? withStatus : `${withStatus} -H "X-API-Key: $SUPERUSER_KEY"`
      const { stdout } = await run('bash', ['-c', withKey], { env: { ...process.env, SUPERUSER_KEY } })
      const end = stdout.lastIndexOf('\n')
      const body = JSON.parse(stdout.slice(0, end) || '{}') as Record<string, unknown>
      if (body['kind'] === 'Operation') id = String(body['id'])
      said.push([Number(stdout.slice(end)), body['kind']])
    }
    return said
  }

  const STARTED = [202, 'Operation'] as const
  const SHOWN = [200, 'Operation'] as const
  const ABORTED = [204, undefined] as const

  it('succeed, in docs/http-api.md', async () => {
    assert.deepEqual(await runAll('docs/http-api.md', '## Operations'), [STARTED, STARTED, SHOWN, ABORTED])
  })

  it('succeed, in docs/operations.md', async () => {
    assert.deepEqual(await runAll('docs/operations.md', '### Many callbacks'), [
      ...[STARTED, SHOWN, STARTED, SHOWN, ABORTED],
      ...[STARTED, STARTED, STARTED, STARTED],
      [200, 'OperationList'],
    ])
  })

  it('get an operation as docs/http-api.md shows it', async () => {
    const [, shown = ''] = /```json\n(\{"kind":"Operation".*?)```/s.exec(read('docs/http-api.md')) ?? []
    const { id } = JSON.parse(shown) as { id: string }
    await system.db.query(
      `INSERT INTO operations (id, workspace, kind, change, filter, rate_per_second, state, matched, done, created_at, next_at)
       SELECT $1, 'default', 'retry', $2::jsonb->'change', $2::jsonb->'filter', 50, 'running', 1200, 200, ($2::jsonb->>'created_at')::timestamptz,
         now() + interval '1 s'`,
      [id, shown],
    )
    const response = await fetch(`${system.callbackUrl}/v1/operations/${id}`, { headers: { 'x-api-key': SUPERUSER_KEY } })
    assert.deepEqual(await response.json(), JSON.parse(shown))
  })
})
