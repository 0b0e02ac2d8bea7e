import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { until } from '../../../../test/support/eventually.ts'
import { settingRows } from '../../config/schema.ts'
import { schema } from './fixtures/service.ts'

const FIXTURE = new URL('fixtures/service.ts', import.meta.url).pathname
const ENV = { SECRET_URL: 'postgresql://u:hunter2@h/db', SHUTDOWN_DELAY_MS: '0' }

describe('run', function () {
  this.timeout(15_000)

  let child: ChildProcess
  let closed: Promise<unknown>
  let stdout: string
  let stderr: string

  function start(flags: readonly string[] = [], env: Readonly<Record<string, string>> = ENV): void {
    stdout = ''
    stderr = ''
    child = spawn(process.execPath, [FIXTURE, ...flags], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    closed = once(child, 'close')
    child.stdout?.setEncoding('utf8').on('data', chunk => {
      stdout += chunk
    })
    child.stderr?.setEncoding('utf8').on('data', chunk => {
      stderr += chunk
    })
  }

  async function started(...flags: string[]): Promise<void> {
    start(flags)
    await until(() => line('service started'))
  }

  /** Waits for the end of the process. @returns its exit code, and how long it took */
  async function ended(): Promise<{ code: number | null; tookMs: number }> {
    const since = performance.now()
    await closed
    return { code: child.exitCode, tookMs: performance.now() - since }
  }

  function lines(): Record<string, unknown>[] {
    return stdout
      .split('\n')
      .slice(0, -1)
      .map(text => JSON.parse(text) as Record<string, unknown>)
  }

  function line(msg: string): Record<string, unknown> | undefined {
    return lines().find(candidate => candidate['msg'] === msg)
  }

  afterEach(async () => {
    child.kill('SIGKILL')
    await ended()
  })

  it('prints every setting on --help and exits 0, whatever else is wrong', async () => {
    start(['--help', '--nope'], {})
    assert.equal((await ended()).code, 0)
    assert.equal(stderr, '')
    assert.match(stdout, /^Usage: node services\/test-service\/main\.ts/)
    for (const { flag, env } of settingRows(schema)) assert.ok(stdout.includes(`  ${flag}=...  (${env};`), flag)
  })

  it('exits 2 on wrong settings, with a sentence for each and no stack', async () => {
    start(['--http-port=12abc', '--fault=all'], {})
    assert.equal((await ended()).code, 2)
    assert.equal(stdout, '')
    const sentences = stderr.trimEnd().split('\n').toSorted()
    assert.equal(sentences.length, 3, stderr)
    assert.match(sentences[0] ?? '', /^test-service: fault: must be one of .*: value was "all"$/)
    assert.equal(sentences[1], 'test-service: http.port: must be an integer from 0 to 65535: value was "12abc"')
    assert.equal(sentences[2], 'test-service: secret.url is required: set SECRET_URL or --secret-url=...')
  })

  it('exits 2 on an unknown flag, with a sentence', async () => {
    start(['--htpp-port=1'])
    assert.equal((await ended()).code, 2)
    assert.equal(stderr, "test-service: Unknown option '--htpp-port' (--help lists them all)\n")
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`stops and exits 0 on ${signal}`, async () => {
      await started()
      child.kill(signal)
      assert.equal((await ended()).code, 0)
      assert.deepEqual(
        lines().map(({ msg }) => msg),
        ['listening', 'service started', 'service stopping', 'service stopped'],
      )
      assert.equal(line('service stopping')?.['signal'], signal)
      assert.equal(stderr, '')
    })
  }

  it('exits 1 when a part does not stop cleanly, and says which and why', async () => {
    await started('--fault=stop_fails')
    child.kill('SIGTERM')
    assert.equal((await ended()).code, 1)
    const { level, part, err } = line('part did not stop cleanly') ?? {}
    assert.deepEqual([level, part, (err as Error).message], ['error', 'faulty part', 'a bug'])
  })

  it('exits 1 after shutdown.timeoutMs when a part hangs, and says which', async () => {
    await started('--fault=stop_hangs', '--shutdown-timeout-ms=300')
    child.kill('SIGTERM')
    const { code, tookMs } = await ended()
    assert.equal(code, 1)
    assert.ok(tookMs >= 290 && tookMs < 2000, `${tookMs} ms`)
    const { level, timeout_ms, still_stopping } = line('service did not stop in time') ?? {}
    assert.deepEqual([level, timeout_ms, still_stopping], ['error', 300, ['faulty part']])
  })

  for (const second of ['SIGTERM', 'SIGINT'] as const) {
    it(`exits at once when ${second} follows SIGTERM`, async () => {
      await started('--fault=stop_hangs')
      child.kill('SIGTERM')
      await until(() => line('service stopping'))
      child.kill(second)
      const { code, tookMs } = await ended()
      assert.equal(code, 1)
      assert.ok(tookMs < 2000, `${tookMs} ms`)
      assert.equal(line('second signal, exiting now')?.['signal'], second)
    })
  }

  for (const [what, fault, event] of [
    ['an exception nobody caught', 'exception', 'uncaughtException'],
    ['a rejection nobody handled', 'rejection', 'unhandledRejection'],
  ] as const) {
    it(`exits 1 on ${what}, and logs it as fatal`, async () => {
      start([`--fault=${fault}`])
      assert.equal((await ended()).code, 1)
      const crash = line('service crashed') ?? {}
      assert.deepEqual([crash['level'], crash['event']], ['fatal', event])
      assert.match((crash['err'] as { stack: string }).stack, /Error: a bug\n {4}at raise/)
      assert.equal(stderr, '')
    })
  }

  describe('with its port in use', () => {
    const other = createServer()
    const port = (): number => (other.address() as AddressInfo).port

    before(() => once(other.listen(0, '127.0.0.1'), 'listening'))

    after(() => other.close())

    it('exits 1 and says so in a sentence', async () => {
      start([`--http-port=${port()}`])
      assert.equal((await ended()).code, 1)
      const [last] = lines().slice(-1)
      assert.deepEqual([last?.['level'], last?.['part']], ['fatal', 'http'])
      assert.equal(last?.['msg'], `port ${port()} is in use: stop the program that listens there, or choose another port`)
      assert.equal(line('service started'), undefined)
      assert.equal(stderr, '')
    })

    it('exits 1 in time also when another part does not stop', async () => {
      start([`--http-port=${port()}`, '--fault=stop_hangs', '--shutdown-timeout-ms=300'])
      assert.equal((await ended()).code, 1)
      assert.deepEqual(line('service did not stop in time')?.['still_stopping'], ['faulty part'])
    })
  })
})
