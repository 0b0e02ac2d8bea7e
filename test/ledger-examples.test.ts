import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { postCallback } from './support/callbacks.ts'
import { eventually } from './support/eventually.ts'
import { type System, startSystem } from './support/system.ts'

const FOLDER = fileURLToPath(new URL('../docs/ledger/', import.meta.url))
const KEYS = ['order-1', 'two words', '"quoted", with a comma', 'x'.repeat(255)]

/** How to run each example that computes a digest. */
const DIGESTS = [
  { program: 'python3', version: '--version', args: ['ledger_digest.py'] },
  { program: 'go', version: 'version', args: ['run', 'ledger_digest.go'] },
  { program: 'node', version: '--version', args: ['ledger_digest.js'] },
]

describe('the examples of the ledger', function () {
  this.timeout(120_000)
  let system: System
  let folder: string

  before(async () => {
    system = await startSystem({ client: { LATENCY_MIN_MS: '1', LATENCY_MAX_MS: '5' } })
    folder = await mkdtemp(join(tmpdir(), 'answerback-ledger-'))
  })

  beforeEach(() => system.db.query('TRUNCATE callbacks, ledger_hours, ledger_answers'))

  after(async () => {
    await system?.stop()
    await rm(folder, { recursive: true })
  })

  /** Sends a callback for each key. @returns the key and the time of each */
  const send = (keys: readonly string[]): Promise<[key: string, receivedAt: string][]> =>
    Promise.all(
      keys.map(async key => {
        const response = await postCallback(system.callbackUrl, [1], { 'idempotency-key': key })
        assert.equal(response.status, 202)
        const { received_at } = (await response.json()) as { received_at: string }
        return [key, received_at]
      }),
    )

  for (const { program, version, args } of DIGESTS) {
    it(`compute the digest with ${program} as the service does`, async function () {
      if (spawnSync(program, [version]).status !== 0) return this.skip()
      await send(KEYS)
      const { stdout } = await run(program, args, KEYS.map(key => `${key}\n`).join(''))
      const ledger = await fetch(`${system.callbackUrl}/v1/ledger?step=86400`)
      const { intervals } = (await ledger.json()) as { intervals: { keys_digest: string; keyed: number }[] }
      const [{ keys_digest, keyed } = assert.fail('no interval')] = intervals.filter(({ keyed }) => keyed > 0)
      assert.deepEqual([keyed, stdout.trim(), keys_digest], [KEYS.length, digestOf(KEYS), digestOf(KEYS)])
    })
  }

  for (const { program, version, args } of DIGESTS) {
    it(`compute the same digest with ${program} if the last line does not end, or lines end as on Windows`, async function () {
      if (spawnSync(program, [version]).status !== 0) return this.skip()
      for (const input of [KEYS.join('\n'), KEYS.map(key => `${key}\r\n`).join('')]) {
        const { stdout } = await run(program, args, input)
        assert.equal(stdout.trim(), digestOf(KEYS))
      }
    })
  }

  describe('that compare', () => {
    before(function () {
      if (spawnSync('python3', ['--version']).status !== 0) this.skip()
    })

    async function compare(sent: readonly (readonly [string, string])[]): Promise<{ code: number | null; stdout: string }> {
      const file = join(folder, 'sent.csv')
      await writeFile(file, sent.map(line => line.map(value => `"${value.replaceAll('"', '""')}"`).join(',')).join('\r\n'))
      return run('python3', ['ledger_compare.py', system.callbackUrl, file])
    }

    it('find nothing missing if nothing is', async () => {
      const { code, stdout } = await compare(await send(KEYS))
      assert.deepEqual([code, stdout], [0, 'every key is there\n'])
    })

    it('name the one callback of 40 that is lost, and its interval', async () => {
      const sent = await send(Array.from({ length: 40 }, (_, n) => `order-${n}`))
      await system.db.query(`DELETE FROM callbacks WHERE idempotency_key = 'order-17'`)
      const { code, stdout } = await compare(sent)
      const missing = stdout.split('\n').filter(line => line.startsWith('  missing: '))
      assert.deepEqual([code, missing], [1, ['  missing: order-17']])
      const minute = String(sent.find(([key]) => key === 'order-17')?.[1].slice(0, 16))
      const found = stdout.split('\n').filter(line => line.startsWith(minute))
      assert.equal(found.length, 1, stdout)
    })

    it('find the loss in the hour when the other callbacks of that hour are deleted after their retention', async () => {
      const sent = await send(Array.from({ length: 10 }, (_, n) => `order-${n}`))
      await system.db.query(`DELETE FROM callbacks WHERE idempotency_key = 'order-7'`)
      await eventually('all are finished', async () => (await unfinished()) === 0)
      await system.db.query(`UPDATE callbacks SET finished_at = finished_at - interval '2 hours'`)
      await eventually('all are deleted', async () => (await system.db.query('SELECT FROM callbacks')).rows.length === 0)
      const { code, stdout } = await compare(sent)
      assert.equal(code, 1)
      const hours = [...stdout.matchAll(/^\S+:00:00.000Z to \S+:00:00.000Z: sent (\d+), the ledger has (\d+)$/gm)]
      assert.equal(hours.length, 1, stdout)
      assert.equal(Number(hours[0]?.[1]) - Number(hours[0]?.[2]), 1, stdout)
    })
  })

  it('count replays and refusals of a workspace after at most a second or two', async () => {
    const [key = ''] = KEYS
    await send([key])
    await send([key])
    await postCallback(system.callbackUrl, ['"x"'])
    await eventually('both are in the ledger', async () => {
      const { intervals } = (await (await fetch(`${system.callbackUrl}/v1/ledger`)).json()) as {
        intervals: { replayed: number; refused: Record<string, number> }[]
      }
      const replayed = intervals.reduce((sum, interval) => sum + interval.replayed, 0)
      const refused = intervals.reduce((sum, interval) => sum + (interval.refused['wrong_type'] ?? 0), 0)
      return replayed === 1 && refused === 1
    })
  })

  async function unfinished(): Promise<number> {
    return (await system.db.query('SELECT FROM callbacks WHERE finished_at IS NULL')).rows.length
  }
})

/** Runs an example. @returns its exit code and what it printed; what it complained about is part of the latter */
async function run(program: string, args: readonly string[], input = ''): Promise<{ code: number | null; stdout: string }> {
  const child = spawn(program, args, { cwd: FOLDER, env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } })
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  child.stdin.end(input)
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await ended, stdout: stdout + stderr }
}

function digestOf(keys: readonly string[]): string {
  const sum = keys.reduce((total, key) => total + createHash('sha256').update(key).digest().readBigUInt64BE(), 0n)
  return BigInt.asUintN(64, sum).toString(16).padStart(16, '0')
}
