import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { formOf } from './support/form-of.ts'
import { type System, startSystem } from './support/system.ts'

const DOCUMENT = fileURLToPath(new URL('../docs/http-api.md', import.meta.url))
const SUPERUSER_KEY = 'superuser-'.repeat(4)
const run = promisify(execFile)

interface Said {
  readonly command: string
  /** The status that the document promises. */
  readonly promised: number
  readonly status: number
  /** The text of the answer, in which ids are exact. */
  readonly text: string
}

describe('the life of an agent in docs/http-api.md', function () {
  this.timeout(60_000)
  const section = readFileSync(DOCUMENT, 'utf8').split('\n### The life of an agent\n')[1]?.split('\n### ')[0] ?? ''
  let system: System
  let said: Said[]

  before(async () => {
    system = await startSystem({ callback: { ACCESS_SUPERUSER_KEYS: SUPERUSER_KEY } })
    said = await runAll()
  })

  after(() => system?.stop())

  /** Runs all commands in their order, with the variables as the text explains them. */
  async function runAll(): Promise<Said[]> {
    const variables: Record<string, string> = { SUPERUSER_KEY }
    const all: Said[] = []
    for (const [, command = '', promised] of section.matchAll(/^(curl .*) # (\d{3})$/gm)) {
      const here = command.replace('localhost:9090', system.callbackUrl)
      const withStatus = here.replace(/^curl/, `curl --silent --show-error --write-out '\\n%{http_code}'`)
      const { stdout } = await run('bash', ['-c', `set -u; ${withStatus}`], { env: { PATH: process.env['PATH'], ...variables } })
      const end = stdout.lastIndexOf('\n')
      const text = stdout.slice(0, end)
      Object.assign(variables, variablesFrom(text, variables))
      all.push({ command, promised: Number(promised), status: Number(stdout.slice(end)), text })
    }
    return all
  }

  /** Finds the only answer to a command that contains these texts. */
  function answerTo(...texts: string[]): Said {
    const found = said.filter(({ command }) => texts.every(text => command.includes(text)))
    assert.equal(found.length, 1, `${found.length} commands have ${texts.join(' and ')}`)
    return found[0] as Said
  }

  const shown = (start: string): unknown => {
    const examples = [...section.matchAll(/```json\n(.*?)```/gs)].map(([, json]) => json ?? '')
    return JSON.parse(examples.find(json => json.startsWith(start)) ?? assert.fail(`no example of ${start}`))
  }

  it('has the status that follows each of its commands', () => {
    assert.ok(said.length >= 30)
    assert.equal(said.length, section.match(/^curl /gm)?.length, 'a command has no status')
    const wrong = said.filter(({ promised, status }) => status !== promised)
    assert.deepEqual(wrong, [])
  })

  it('shows the agent, its leases, what it holds and the answers to it as they are', () => {
    const leases = said.filter(({ text }) => text.startsWith('{"kind":"LeaseList"')).map(({ text }) => JSON.parse(text))
    const [created, held, delivered, ended] = [
      answerTo('/v1/agents ', '"name":"hall-3"').text,
      answerTo('curl localhost:9090/v1/agents/$AGENT/callbacks ').text,
      answerTo('"id":3,"outcome":"pending"').text,
      answerTo('"id":9007199254740993').text,
    ].map(text => JSON.parse(text))
    assert.deepEqual(formOf(created), formOf(shown('{"kind":"Agent"')))
    assert.deepEqual(formOf(leases[0]), formOf(shown('{"kind":"LeaseList"')))
    assert.deepEqual(held.items, [{ ...(shown('{"kind":"AgentCallback"') as object), id: held.items[0].id, href: held.items[0].href }])
    assert.deepEqual([delivered, ended], [{ ...ended, state: 'pending' }, shown('{"kind":"LeaseEnd"')])
  })

  it('stores the objects of a repeated PUT once', () => {
    const [first, second] = said.filter(({ command }) => command.includes('"id":2,"online":false')).map(({ text }) => JSON.parse(text))
    assert.deepEqual(formOf(first), formOf(shown('{"kind":"Delivery"')))
    assert.deepEqual([first.stored, first.wanted, second.stored, second.wanted], [2, 2, 0, 2])
  })

  it('names in the second lease exactly what the first one did not bring', () => {
    const [first, second] = said.filter(({ text }) => text.startsWith('{"kind":"LeaseList"')).map(({ text }) => idsOf(text))
    assert.deepEqual([first, second], ['1,2,3,9007199254740993', '3,9007199254740993'])
  })

  it('gives the codes that the text names, and tells which object has no outcome', () => {
    const codes = said.filter(({ status }) => status >= 400).map(({ text }) => (JSON.parse(text) as { code: string }).code)
    assert.deepEqual(codes, ['lease_lost', 'objects_missing', 'lease_lost', 'lease_lost', 'agent_archived'])
    assert.match(answerTo('-d \'{"state":"completed","unstored":[{"id":3,"outcome":"not_found"}]}\'').text, /9007199254740993/)
  })

  it('leaves a callback with the outcome of each object', () => {
    const { text } = answerTo('curl localhost:9090/v1/callbacks/$CALLBACK')
    const { state, objects } = JSON.parse(text) as { state: string; objects: readonly Record<string, unknown>[] }
    const outcomes = objects.map(({ outcome, reason }) => [outcome, reason].filter(Boolean).join(' '))
    assert.deepEqual([state, ...outcomes], ['completed', 'stored', 'stored', 'not_found', 'failed http_400'])
  })

  it('ends with an agent that has done what it counts', async () => {
    const { id } = JSON.parse(said.at(-1)?.text ?? '') as { id: string }
    const { labels, max_leases, archived_at, version } = JSON.parse(said.at(-1)?.text ?? '')
    assert.deepEqual([labels, max_leases, archived_at, version], [['line:a', 'line:b'], 8, null, 'curl'])
    assert.match(id, /^[0-9a-f-]{36}$/)
  })
})

/** Reads what an answer gives to later commands. */
function variablesFrom(text: string, { LEASE = '' }: Record<string, string>): Record<string, string> {
  if (text === '') return {}
  const answer = JSON.parse(text) as { kind?: string; id: string; key: string; items: readonly { location: string }[] }
  if (answer.kind === 'Key') return { MANAGE_KEY: answer.key }
  if (answer.kind === 'Agent' && answer.key !== undefined) return { AGENT: answer.id, AGENT_KEY: answer.key }
  if (answer.kind === 'Callback') return { CALLBACK: answer.id }
  if (answer.kind === 'LeaseList') return { OLD_LEASE: LEASE, LEASE: answer.items[0]?.location ?? '' }
  return {}
}

function idsOf(text: string): string | undefined {
  return /"object_ids":\[([\d,]*)\]/.exec(text)?.[1]
}
