import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type System, startSystem } from './support/system.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SUPERUSER_KEY = 'superuser-'.repeat(4)
const run = promisify(execFile)

interface Said {
  readonly command: string
  readonly status: number
  readonly body: Record<string, unknown>
}

describe('the commands of the documentation that are about workspaces', function () {
  this.timeout(60_000)
  let system: System

  before(async () => {
    system = await startSystem({ callback: { ACCESS_SUPERUSER_KEYS: SUPERUSER_KEY } })
  })

  after(() => system?.stop())

  /** Runs all `curl` of a section in their order, as a superuser. `ID` and the example of an id stand for the last key that was made. */
  async function runAll(file: string, heading: string): Promise<Said[]> {
    const section = readFileSync(`${ROOT}${file}`, 'utf8').split(`\n${heading}\n`)[1]?.split('\n## ')[0] ?? ''
    const said: Said[] = []
    let keyId = ''
    for (const command of section.match(/^curl .*$/gm) ?? []) {
      const here = command.replace('localhost:9090', system.callbackUrl).replace(/keys\/(ID|[0-9a-f-]{36})/, `keys/${keyId}`)
      const withStatus = here.replace(/^curl/, `curl --silent --show-error --write-out '\\n%{http_code}'`)
      const withKey = here.includes('X-API-Key') ? withStatus : `${withStatus} -H "X-API-Key: $SUPERUSER_KEY"`
      const { stdout } = await run('bash', ['-c', withKey], { env: { ...process.env, SUPERUSER_KEY } })
      const end = stdout.lastIndexOf('\n')
      const body = JSON.parse(stdout.slice(0, end) || '{}') as Record<string, unknown>
      if (body['kind'] === 'Key') keyId = String(body['id'])
      said.push({ command, status: Number(stdout.slice(end)), body })
    }
    return said
  }

  it('succeed, in docs/http-api.md', async () => {
    const said = await runAll('docs/http-api.md', '## Workspaces and keys')
    assert.deepEqual(
      said.map(({ status }) => status),
      [201, 200, 201, 200, 204, 204, 200],
    )
    assert.equal(said.at(-1)?.body['archived_at'], null)
  })

  it('succeed, in docs/operations.md', async () => {
    await system.db.query(`DELETE FROM workspaces WHERE name = 'shop'; UPDATE access_revision SET number = number + 1`)
    const said = await runAll('docs/operations.md', '## Workspaces')
    assert.deepEqual(
      said.map(({ status }) => status),
      [201, 201, 200, 204, 200, 200, 200, 200],
    )
    const { limits, weight, paused, client_service_url } = said.at(-1)?.body ?? {}
    assert.deepEqual(
      [(limits as Record<string, number>)['requests_per_second'], weight, paused, client_service_url],
      [200, 2, true, 'https://objects.example/v2'],
    )
  })
})
