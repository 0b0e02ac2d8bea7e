import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { openSpoolDatabase } from '../services/callback-service/adapters/spool/spool-database.ts'
import { accept, finished } from './support/callbacks.ts'
import { eventually, until } from './support/eventually.ts'
import { formOf } from './support/form-of.ts'
import { type System, startSystem } from './support/system.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string): string => readFileSync(`${ROOT}${file}`, 'utf8')
const run = promisify(execFile)

/** The commands that no test runs, each with the reason. */
const NOT_RUN: readonly [command: RegExp, reason: string][] = [
  [/^make (run|compose|test|test-integration|lint|chaos|bench-quick)$/, 'is a test, or runs forever: make --dry-run checks it below'],
  [/^DATABASE(_SESSION)?_URL=/, 'is a setting'],
  [/^curl .*\/set-aside/, 'runs below, with the id of a callback that was set aside'],
  [/^make key /, 'runs in make-key.test.ts'],
  [/^make run STORE=/, 'runs in deploy/local/test/store.test.ts'],
  [/^curl .*\/v1\/operations/, 'run in docs-operations.test.ts'],
  [/^export SUPERUSER_KEY=|^curl .*\/v1\/workspaces/, 'run in docs-workspaces.test.ts'],
]

describe('the examples of the documentation', function () {
  this.timeout(60_000)
  let system: System

  before(async () => {
    system = await startSystem({ client: { LATENCY_MIN_MS: '1', LATENCY_MAX_MS: '5' } })
    // The first 202 cannot say yet how long a callback takes.
    await finished(system.callbackUrl, await accept(system.callbackUrl, [2]))
  })

  after(() => system?.stop())

  const post = (body: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${system.callbackUrl}/callback`, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } })

  /** Runs a command of the text in a shell, with the ports of this test. */
  async function shell(command: string, adminUrl = system.callbackAdminUrl): Promise<string> {
    const here = Object.entries({
      'localhost:9090': system.callbackUrl,
      'localhost:6060': adminUrl,
      'localhost:6061': system.clientAdminUrl,
    }).reduce((text, [port, url]) => text.replaceAll(port, url), command)
    const { stdout } = await run('bash', ['-c', here.replace(/^curl/, 'curl --silent --show-error')])
    return stdout
  }

  describe('docs/http-api.md', () => {
    const text = read('docs/http-api.md')
    const examples = [...text.matchAll(/```json\n(.*?)```/gs)].map(([, json]) => json?.replaceAll('...', 'x') ?? '')
    const example = (kind: string): string => examples.find(json => json.includes(kind)) ?? assert.fail(`no example of ${kind}`)

    it('shows the request and the answer of POST /callback as they are', async () => {
      const response = await post(example('{"object_ids": ['))
      assert.equal(response.status, 202)
      const answer = (await response.json()) as Record<string, unknown>
      assert.deepEqual(formOf(answer), formOf(JSON.parse(example('"durability"'))))
      assert.equal(response.headers.get('location'), answer['href'])
      assert.match(response.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/)
    })

    it('describes the answers to a replay and to a reused key correctly', async () => {
      const key = { 'idempotency-key': 'docs' }
      const first = await post('{"object_ids":[1]}', key)
      const again = await post('{"object_ids":[1]}', key)
      assert.deepEqual([again.status, again.headers.get('idempotency-replayed')], [202, 'true'])
      const { backlog, eta_ms, ...same } = (await first.json()) as Record<string, unknown>
      assert.deepEqual(await again.json(), { ...same, backlog: null, eta_ms: null })
      assert.deepEqual([typeof backlog, typeof eta_ms], ['number', 'number'])
      assert.equal((await post('{"object_ids":[2]}', key)).status, 422)
    })

    it('shows an object as it is', async () => {
      await finished(system.callbackUrl, await accept(system.callbackUrl, [2]))
      const response = await fetch(`${system.callbackUrl}/v1/objects/2`)
      assert.deepEqual(formOf(await response.json()), formOf(JSON.parse(example('"kind":"Object"'))))
    })

    it('shows the ledger and its keys as they are', async () => {
      await post('{"object_ids":[1]}', { 'idempotency-key': 'ledger' })
      const get = async (path: string): Promise<unknown> => (await fetch(`${system.callbackUrl}${path}`)).json()
      const ledger = (await get('/v1/ledger')) as { intervals: object[] }
      const shown = JSON.parse(example('"kind":"Ledger"')) as { intervals: object[] }
      const plain = ({ intervals, ...rest }: { intervals: object[] }) => ({
        ...rest,
        intervals: intervals.map(each => ({ ...each, refused: {} })),
      })
      assert.deepEqual(formOf(plain(ledger)), formOf(plain(shown)))
      const { next, ...keys } = (await get('/v1/ledger/keys?limit=1')) as { next: string }
      assert.deepEqual(formOf(keys), formOf(JSON.parse(example('"kind":"LedgerKeyList"'))))
    })

    it('shows a problem as it is, whose operation_id is in the log', async () => {
      const response = await post('{"object_ids":[0,1,2,"3"]}')
      const shown = JSON.parse(example('"type":"/v1/errors/')) as Record<string, unknown>
      const problem = (await response.json()) as Record<string, unknown>
      assert.equal(response.headers.get('content-type'), 'application/problem+json')
      const { operation_id, request_id } = problem
      assert.deepEqual(problem, { ...shown, operation_id, request_id })
      const line = await until(() => system.callbackService.log.find(candidate => candidate['trace_id'] === operation_id))
      assert.deepEqual([line.level, line.msg, line['code']], ['info', 'request refused', 'wrong_type'])
    })

    const large = `{"object_ids":[1],"x":"${'x'.repeat(70_000)}"}`
    const problems: [method: string, path: string, headers: Record<string, string>, body: string | undefined, code: string][] = [
      ['POST', '/callback', { 'content-type': 'application/json' }, '{"a":1,"a":2}', 'duplicate_member'],
      ['POST', '/callback', { 'content-type': 'application/json' }, '', 'empty_body'],
      ['POST', '/callback', { 'content-type': 'application/json' }, '{', 'invalid_json'],
      ['POST', '/callback', { 'content-type': 'application/json' }, '['.repeat(40) + ']'.repeat(40), 'too_deep'],
      ['POST', '/callback', { 'content-type': 'application/json' }, '[]', 'not_an_object'],
      ['POST', '/callback', { 'content-type': 'application/json' }, '{}', 'missing_member'],
      ['POST', '/callback', { 'content-type': 'application/json' }, '{"object_ids":[1.5]}', 'not_an_integer'],
      ['POST', '/callback', { 'content-type': 'application/json' }, '{"object_ids":[1e30]}', 'out_of_range'],
      ['POST', '/callback', { 'content-type': 'application/json' }, `{"object_ids":[${'1,'.repeat(1000)}1]}`, 'too_many_ids'],
      ['POST', '/callback', { 'content-type': 'application/json' }, large, 'body_too_large'],
      ['POST', '/callback', { 'content-type': 'text/plain' }, '{}', 'unsupported_media_type'],
      ['POST', '/callback', { 'content-type': 'application/json', 'content-encoding': 'gzip' }, 'x', 'unsupported_encoding'],
      ['POST', '/callback', { 'content-type': 'application/json', 'idempotency-key': 'x'.repeat(256) }, '{}', 'invalid_idempotency_key'],
      ['GET', '/callback', {}, undefined, 'method_not_allowed'],
      ['GET', '/nowhere', {}, undefined, 'not_found'],
      ['GET', '/%zz', {}, undefined, 'invalid_path'],
      ['GET', '/v1/objects?limit=0', {}, undefined, 'invalid_parameter'],
      ['GET', '/v1/objects/x', {}, undefined, 'invalid_id'],
      ['GET', '/v1/objects/987654321', {}, undefined, 'object_not_found'],
      ['GET', '/v1/callbacks/01a2012d-e90a-70df-bfc6-c43b082c5343', {}, undefined, 'callback_not_found'],
      ['GET', '/', { 'x-large': 'x'.repeat(17_000) }, undefined, 'headers_too_large'],
    ]
    const listed = new Map(
      [...text.matchAll(/^\| (\d{3}) \| `([a-z_]+)` \| (.*) \|$/gm)].map(([, status, code, title]) => [code, { status, title }]),
    )
    for (const [method, path, headers, body, code] of problems) {
      it(`describes ${code} correctly`, async () => {
        const response = await fetch(`${system.callbackUrl}${path}`, { method, headers, ...(body !== undefined && { body }) })
        const problem = (await response.json()) as { status: number; title: string; code: string }
        const { status, title } = listed.get(code) ?? assert.fail(`${code} is not listed`)
        assert.deepEqual([response.status, problem.status, problem.title, problem.code], [Number(status), Number(status), title, code])
        if (response.status === 405) assert.equal(response.headers.get('allow'), 'POST')
        if (response.status === 415) assert.ok(response.headers.has('accept-post') || response.headers.has('accept-encoding'))
      })
    }

    it('names only paths of the admin port that exist', async () => {
      const section = text.split('## Admin port')[1]?.split('\n## ')[0] ?? ''
      const paths = [...section.matchAll(/`GET (\/[^ `]*)`/g)].map(([, path]) => path as string)
      assert.ok(paths.length >= 10)
      const id = await accept(system.callbackUrl, [])
      // These exist only with a spool, and with the switches of a client service.
      const isOptional = (path: string): boolean => path === '/set-aside' || path === '/client-service/config'
      for (const path of paths.filter(path => !isOptional(path))) {
        const concrete = path
          .replace(/\?.*$/, path.includes('profile') ? '?seconds=1' : '')
          .replace(':code', 'not_found')
          .replace(':id', id)
          .replace(':folder', 'views')
          .replace(':file', path.includes(':folder') ? 'now.ts' : 'main.ts')
        const response = await fetch(`${system.callbackAdminUrl}${concrete}`)
        assert.equal(response.status, 200, path)
        await response.arrayBuffer()
      }
    })
  })

  describe('README.md', () => {
    const session = [...read('README.md').matchAll(/```console\n(.*?)```/gs)].map(([, block]) => block ?? '').join('\n')
    const [posted = '', found = '', refused = ''] = session.split(/^\$ /m).slice(1)
    /** Parses an answer of the session, which breaks it into lines. */
    const shown = (part: string): unknown => JSON.parse(part.slice(part.indexOf('\n{')))
    const command = (part: string): string => (part.split('\n')[0] ?? '').replace(/ +#.*$/, '')

    it('shows the answer to a POST, header by header, and the callback when it is finished', async () => {
      const [head = '', body = ''] = (await shell(command(posted))).split('\r\n\r\n')
      const names = (text: string): string[] => [...text.matchAll(/^([A-Za-z-]+):/gm)].map(([, name]) => name as string)
      assert.match(head, /^HTTP\/1.1 202 Accepted\r\n/)
      assert.deepEqual(
        names(posted).filter(name => !names(head).includes(name)),
        [],
      )
      const answer = JSON.parse(body) as { id: string }
      assert.deepEqual(formOf(answer), formOf(shown(posted)))
      await finished(system.callbackUrl, answer.id)
      const [, id = ''] = /callbacks\/([0-9a-f-]{36})/.exec(command(found)) ?? []
      const callback = JSON.parse(await shell(command(found).replace(id, answer.id))) as Record<string, unknown>
      assert.deepEqual(formOf(callback), formOf(shown(found)))
    })

    it('shows the answer to a wrong id', async () => {
      const problem = JSON.parse(await shell(command(refused))) as Record<string, unknown>
      const { operation_id, request_id } = problem
      assert.deepEqual(problem, { ...(shown(refused) as object), operation_id, request_id })
    })

    it('shows a command that breaks the client service', async () => {
      const [patch = ''] = /curl -X PATCH [^`]*/.exec(read('README.md')) ?? []
      const { faults } = JSON.parse(await shell(patch)) as { faults: { errorShare: number } }
      assert.equal(faults.errorShare, 0.3)
    })
  })

  it('list, put back and drop what was set aside, in docs/operations.md', async () => {
    const [list = '', putBack = '', putBackWithout = '', drop = ''] = read('docs/operations.md').match(/^curl .*set-aside.*$/gm) ?? []
    const folder = await mkdtemp(join(tmpdir(), 'answerback-docs-'))
    const path = join(folder, 'spool.sqlite')
    const ids = Array.from({ length: 3 }, () => randomUUID())
    const { db } = openSpoolDatabase(path)
    const insert = db.prepare(`INSERT INTO set_aside (id, object_ids, baggage, received_ms, reason) VALUES (?, '{2}', 'k=v', 1, 'refused')`)
    for (const id of ids) insert.run(id)
    db.close()
    const service = await system.startCallbackService({ SPOOL_PATH: path })
    try {
      const ask = async (command: string, id = ''): Promise<Record<string, unknown>> =>
        JSON.parse(await shell(command.replace('ID', id), service.adminUrl)) as Record<string, unknown>
      assert.equal((await ask(list))['size'], 3)
      assert.equal((await ask(putBack, ids[0]))['state'], 'pending')
      assert.equal((await ask(putBackWithout, ids[1]))['state'], 'pending')
      assert.equal((await ask(drop, ids[2]))['id'], ids[2])
      assert.equal((await ask(list))['size'], 0)
      for (const id of ids.slice(0, 2)) {
        await eventually('the database has it', async () => (await fetch(`${service.url}/v1/callbacks/${id}`)).ok)
        assert.equal((await finished(service.url, id as string)).state, 'completed')
      }
      assert.equal((await ask(drop, ids[0]))['code'], 'callback_not_found')
    } finally {
      await service.stop()
      await rm(folder, { recursive: true })
    }
  })

  it('change a setting, in docs/configuration.md', async () => {
    const [patch = ''] = /^curl -X PATCH .*$/m.exec(read('docs/configuration.md')) ?? []
    const { log } = JSON.parse(await shell(patch)) as { log: { level: string } }
    assert.equal(log.level, 'debug')
  })

  it('are commands that a test runs, or have a reason why none does', async () => {
    const commands = ['README.md', 'docs/operations.md'].flatMap(file =>
      [...read(file).matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block]) => (block ?? '').trim().split('\n')),
    )
    const plain = commands.map(line => line.replace(/ +#.*$/, ''))
    assert.ok(plain.length > 8)
    assert.deepEqual(
      plain.filter(line => !NOT_RUN.some(([command]) => command.test(line))),
      [],
    )
  })

  it('name only targets of make that exist', async () => {
    const text = ['README.md', ...globSync('docs/**/*.md', { cwd: ROOT })].map(read).join('\n')
    const targets = new Set([...text.matchAll(/(?:`|^)make ([a-z][a-z-]*[a-z])/gm)].map(([, target]) => target as string))
    assert.ok(targets.size > 10)
    await run('make', ['--dry-run', ...targets], { cwd: ROOT })
  })
})
