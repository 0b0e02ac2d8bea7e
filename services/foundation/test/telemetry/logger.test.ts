import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const FIXTURE = new URL('fixtures/log-lines.ts', import.meta.url).pathname

async function output(...args: string[]): Promise<string> {
  return (await promisify(execFile)(process.execPath, [FIXTURE, ...args])).stdout
}

describe('createLogger', () => {
  let outside: Record<string, unknown>
  let inside: Record<string, unknown>

  before(async () => {
    const lines = (await output()).trimEnd().split('\n')
    assert.equal(lines.length, 2, 'what is below the level is not written')
    ;[outside = {}, inside = {}] = lines.map(line => JSON.parse(line) as Record<string, unknown>)
  })

  it('writes JSON lines: the level by its name, the time in ISO 8601, the service, the fields and the message', () => {
    const { time, ...rest } = outside
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.ok(Math.abs(Date.now() - Date.parse(String(time))) < 60_000)
    assert.deepEqual(rest, { level: 'info', service: 'test-service', answer: 42, msg: 'outside' })
  })

  it('writes the trace, the span and the request a line belongs to', () => {
    const { trace_id, span_id, request_id } = inside
    assert.deepEqual([trace_id, span_id, request_id], ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331', 'request-7'])
  })

  it('writes an error with its type, its message and its stack', () => {
    const { type, message, stack } = inside['err'] as Record<string, string>
    assert.deepEqual([type, message], ['Error', 'bug'])
    assert.match(stack ?? '', /log-lines\.ts/)
  })

  it('writes for people on a terminal, a line each', async () => {
    assert.match(await output('terminal'), /INFO.*: .*outside.*"answer":42/)
  })
})
