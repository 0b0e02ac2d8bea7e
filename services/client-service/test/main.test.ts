import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { eventually } from '../../../test/support/eventually.ts'
import { CallbackReceiver } from './callback-receiver.ts'

const MAIN = new URL('../main.ts', import.meta.url).pathname

interface ZipkinSpan {
  readonly traceId: string
  readonly id: string
  readonly parentId?: string
  readonly name: string
  readonly kind?: string
}

describe('the client service as a process', () => {
  let receiver: CallbackReceiver
  let child: ChildProcess
  let errors: string
  let ports: Record<string, number>

  beforeEach(async () => {
    receiver = new CallbackReceiver()
    await receiver.start()
  })

  afterEach(async () => {
    if (child.exitCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await receiver.stop()
  })

  function run(...flags: string[]): void {
    ports = {}
    errors = ''
    child = spawn(process.execPath, [MAIN, '--http-port=0', '--http-host=127.0.0.1', '--admin-port=0', ...flags], {
      env: { CALLBACK_SERVICE_URL: receiver.url, ZIPKIN_URL: `${receiver.url}/api/v2/spans`, LATENCY_MIN_MS: '0', LATENCY_MAX_MS: '0' },
    })
    child.stderr?.on('data', chunk => {
      errors += chunk
    })
    if (child.stdout)
      createInterface(child.stdout).on('line', line => {
        const { msg, server, port } = JSON.parse(line) as { msg: string; server: string; port: number }
        if (msg === 'listening') ports[server] = port
      })
  }

  async function start(...flags: string[]): Promise<void> {
    run(...flags)
    await eventually('it listens', () => ports['http'] !== undefined)
  }

  function ask(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${ports['http']}${path}`, { headers })
  }

  function change(settings: object): Promise<Response> {
    return fetch(`http://127.0.0.1:${ports['admin']}/config`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(settings),
    })
  }

  async function exitCode(): Promise<number | null> {
    if (child.exitCode === null) await once(child, 'exit')
    return child.exitCode
  }

  function spans(): ZipkinSpan[] {
    return receiver.received.filter(({ path }) => path === 'POST /api/v2/spans').flatMap(({ body }) => JSON.parse(body) as ZipkinSpan[])
  }

  it('changes how it behaves while it runs', async () => {
    await start('--emitter-enabled=false')
    assert.equal((await ask('/objects/2')).status, 200)

    assert.equal((await change({ faults: { errorShare: 1 } })).status, 200)
    assert.equal((await ask('/objects/2')).status, 500)

    assert.equal((await change({ faults: { errorShare: 0, down: true } })).status, 200)
    await assert.rejects(ask('/objects/2'))
    await assert.rejects(ask('/'))

    await change({ faults: { down: false } })
    assert.equal((await ask('/')).status, 200)
    assert.deepEqual(receiver.received, [])

    await change({ emitter: { enabled: true } })
    await eventually('a callback comes', () => receiver.received.some(({ path }) => path === 'POST /callback'))
    const metrics = await (await fetch(`http://127.0.0.1:${ports['admin']}/metrics`)).text()
    assert.match(metrics, /^objects_answered_total\{fault="none"\} 1$/m)
    assert.match(metrics, /^objects_answered_total\{fault="error"\} 1$/m)
    assert.match(metrics, /^emitter_outstanding_callbacks [01]$/m)
  })

  it('resets what waits for its answer when it goes down', async () => {
    await start('--emitter-enabled=false', '--latency-min-ms=60000', '--latency-max-ms=60000')
    const answer = assert.rejects(ask('/objects/2'))
    const held = async (): Promise<string> => (await fetch(`http://127.0.0.1:${ports['admin']}/metrics`)).text()
    await eventually('it waits', async () => /^objects_held_answers 1$/m.test(await held()))
    await change({ faults: { down: true } })
    await answer
  })

  it('refuses a change that contradicts itself, in a sentence', async () => {
    await start('--emitter-enabled=false')
    for (const [settings, detail] of [
      [{ latency: { minMs: 9000 } }, 'latency.minMs (9000) is above latency.maxMs (0)'],
      [{ faults: { hangShare: 0.6, dripShare: 0.6 } }, 'the shares of faults add up to 1.2; together they may be at most 1'],
    ] as const) {
      const response = await change(settings)
      assert.equal(response.status, 422)
      const problem = (await response.json()) as { code: string; detail: string }
      assert.deepEqual([problem.code, problem.detail], ['invalid_setting', detail])
    }
    assert.equal((await ask('/objects/2')).status, 200)
  })

  it('does not start with settings that contradict each other', async () => {
    run('--latency-min-ms=5000', '--latency-max-ms=4000')
    assert.equal(await exitCode(), 2)
    assert.equal(errors, 'client-service: latency.minMs (5000) is above latency.maxMs (4000)\n')
  })

  it('begins a trace with each callback, and continues the trace of each request', async () => {
    await start()
    await eventually('a callback comes', () => receiver.received.some(({ path }) => path === 'POST /callback'))
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    await ask('/objects/2', { traceparent: `00-${traceId}-b7ad6b7169203331-01` })
    await eventually('the spans come', () => spans().length >= 3)

    const callback = receiver.received.find(({ path }) => path === 'POST /callback')
    const root = spans().find(span => span.name === 'emit callback')
    const post = spans().find(span => span.name === 'POST /callback')
    assert.equal(root?.parentId, undefined)
    assert.deepEqual([post?.traceId, post?.parentId, post?.kind], [root?.traceId, root?.id, 'CLIENT'])
    assert.equal(callback?.headers['traceparent'], `00-${post?.traceId}-${post?.id}-01`)
    const answer = spans().find(span => span.traceId === traceId)
    assert.deepEqual([answer?.name, answer?.kind, answer?.parentId], ['GET /objects/:id', 'SERVER', 'b7ad6b7169203331'])
  })

  it('stops at once when asked to, whatever hangs', async () => {
    receiver.answer = () => undefined
    await start('--faults-hang-share=1', '--shutdown-delay-ms=0')
    const hanging = assert.rejects(ask('/objects/2'))
    await eventually('a callback waits for its answer', () => receiver.received.some(({ path }) => path === 'POST /callback'))
    const asked = performance.now()
    child.kill('SIGTERM')
    assert.equal(await exitCode(), 0)
    assert.ok(performance.now() - asked < 3000)
    await hanging
  })
})
