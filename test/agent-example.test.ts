import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { accept, type CallbackAnswer, finished, patchConfig, range, readCallback, readMetrics } from './support/callbacks.ts'
import { eventually, until } from './support/eventually.ts'
import type { ServiceProcess } from './support/service-process.ts'
import { type System, startSystem } from './support/system.ts'

const PROGRAM = fileURLToPath(new URL('../docs/examples/agent.py', import.meta.url))
const QUICK = { minMs: 1, maxMs: 5 }
const SLOW = { minMs: 1500, maxMs: 1500 }

describe('the agent of docs/examples, with nothing but the standard library of Python', function () {
  this.timeout(60_000)
  let system: System
  let key: string
  let agentId: string
  let agent: PythonAgent
  /** The service, which a test starts again at the same port. */
  let callbackService: ServiceProcess

  before(async function () {
    // Python is no dependency of the project, so a machine may lack it.
    if (spawnSync('python3', ['--version']).status !== 0) return this.skip()
    system = await startSystem({ callback: { PROCESS_RETRY_BASE_MS: '50', PROCESS_RETRY_MAX_MS: '200' } })
    callbackService = system.callbackService
    await ask('PATCH', '/v1/workspaces/default', { fetcher: 'agents' })
    const created = (await ask('POST', '/v1/agents', { name: 'python' })) as { id: string; key: string }
    agentId = created.id
    key = created.key
  })

  after(() => system?.stop())

  beforeEach(async () => {
    await behave(QUICK)
    agent = await PythonAgent.start({ ANSWERBACK_URL: system.callbackUrl, CLIENT_SERVICE_URL: system.clientUrl, AGENT_KEY: key })
  })

  afterEach(() => agent.stop())

  async function ask(method: string, path: string, body?: object): Promise<unknown> {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${system.callbackUrl}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
    const text = await response.text()
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
    return JSON.parse(text || 'null')
  }

  const behave = (latency: typeof QUICK, faults: object = {}): Promise<void> =>
    patchConfig(system.clientAdminUrl, { latency, faults: { errorShare: 0, notFoundShare: 0, objectIds: '', ...faults } })

  const outcomesOf = ({ objects }: CallbackAnswer): string[] => [...new Set(objects.map(({ outcome }) => outcome))]

  /** Resolves when the agent has a lease of the callback. */
  const leased = (id: string): Promise<CallbackAnswer> =>
    until(async () => {
      const callback = await readCallback(system.callbackUrl, id)
      return callback.state === 'running' ? callback : undefined
    })

  it('completes callbacks of none, one and many objects', async () => {
    const ids = await Promise.all([[], [2], range(1000, 500)].map(objects => accept(system.callbackUrl, objects)))
    const callbacks = await Promise.all(ids.map(id => finished(system.callbackUrl, id)))
    assert.deepEqual(
      callbacks.map(callback => [callback.state, callback.objects.length, ...outcomesOf(callback)]),
      [
        ['completed', 0],
        ['completed', 1, 'stored'],
        ['completed', 500, 'stored'],
      ],
    )
  })

  it('stores objects whose ids a double cannot hold', async () => {
    const ids = ['9007199254740993', '9223372036854775807', '-9223372036854775808']
    await finished(system.callbackUrl, await accept(system.callbackUrl, ids))
    const { rows } = await system.db.query('SELECT id::text FROM objects WHERE id = ANY ($1)', [ids])
    assert.deepEqual(rows.map(({ id }) => id).toSorted(), ids.toSorted())
  })

  it('completes a callback with an object that does not exist', async () => {
    await behave(QUICK, { notFoundShare: 1, objectIds: '3' })
    const { state, objects } = await finished(system.callbackUrl, await accept(system.callbackUrl, [2, 3]))
    assert.deepEqual([state, ...objects.map(({ outcome }) => outcome)], ['completed', 'stored', 'not_found'])
  })

  it('gives a callback back whose object fails, charged and with the reason, and completes it when the object is there', async () => {
    await behave(QUICK, { errorShare: 1, objectIds: '5' })
    const id = await accept(system.callbackUrl, [4, 5])
    const failing = await until(async () => {
      const callback = await readCallback(system.callbackUrl, id)
      return callback.objects.some(({ reason }) => reason === 'http_500') ? callback : undefined
    })
    assert.ok(failing.attempts >= 1)
    await behave(QUICK)
    assert.deepEqual(outcomesOf(await finished(system.callbackUrl, id)), ['stored'])
  })

  it('goes on after the service was killed and started again', async () => {
    await behave(SLOW)
    const id = await accept(system.callbackUrl, [6, 7])
    await leased(id)
    const { port } = new URL(system.callbackUrl)
    await callbackService.stop('SIGKILL')
    callbackService = await (await system.startCallbackService({ HTTP_PORT: port })).ready()
    assert.equal((await finished(system.callbackUrl, id, 40_000)).state, 'completed')
    assert.equal((await finished(system.callbackUrl, await accept(system.callbackUrl, [8]), 40_000)).state, 'completed')
  })

  it('forgets a lease that was taken away, and goes on', async () => {
    await behave(SLOW)
    const id = await accept(system.callbackUrl, [9])
    await leased(id)
    await ask('DELETE', `/v1/agents/${agentId}/callbacks/${id}`)
    const line = await until(() => agent.log.find(({ msg }) => msg === 'lease lost'))
    assert.match(String(line['reason']), /^410 .*lease_lost/)
    assert.equal((await finished(system.callbackUrl, id)).state, 'completed')
  })

  it('stops cleanly on SIGTERM, and gives back what is not done, uncharged', async () => {
    await behave({ minMs: 8000, maxMs: 8000 })
    const id = await accept(system.callbackUrl, [10])
    await leased(id)
    const started = performance.now()
    assert.equal(await agent.stop(), 0)
    assert.ok(performance.now() - started < 5000)
    const { state, attempts } = await readCallback(system.callbackUrl, id)
    assert.deepEqual([state, attempts], ['pending', 0])
    await system.db.query('DELETE FROM callbacks WHERE id = $1', [id])
  })

  it('stops at once while it waits for work', async () => {
    await eventually('it waits', async () => (await readMetrics(callbackService.adminUrl)).total('agent_polls_waiting') === 1)
    const started = performance.now()
    assert.equal(await agent.stop(), 0)
    assert.ok(performance.now() - started < 3000)
  })
})

/** The example as a process, its log kept. */
class PythonAgent {
  readonly log: { readonly msg: string; readonly [field: string]: unknown }[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>

  private constructor(env: Readonly<Record<string, string>>) {
    this.#child = spawn('python3', [PROGRAM], { env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
    this.#exited = once(this.#child, 'exit')
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', line => this.log.push(JSON.parse(line)))
  }

  static async start(env: Readonly<Record<string, string>>): Promise<PythonAgent> {
    const agent = new PythonAgent(env)
    await until(() => agent.log.some(({ msg }) => msg === 'started'))
    return agent
  }

  /** Safe to repeat. @returns the exit code */
  async stop(): Promise<number | null> {
    this.#child.kill()
    await this.#exited
    return this.#child.exitCode
  }
}
