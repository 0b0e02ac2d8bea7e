import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { LogView, renderLine } from '../log-view.ts'

const plain = (_style: unknown, text: string): string => text

describe('renderLine', () => {
  const entry = { level: 'info', time: '2026-11-22T03:01:31.060Z', service: 'callback-service', msg: 'listening' }
  const render = (fields: object): string => renderLine('callback', JSON.stringify({ ...entry, ...fields }), plain)

  it('shows local time, prefix, level, message and fields', () => {
    assert.match(render({ server: 'admin', port: 6060 }), /^\d\d:\d\d:31\.060 callback │ INFO {2}listening server=admin port=6060$/)
  })

  it('quotes values with blanks, and shows nested values as JSON', () => {
    assert.ok(render({ reason: 'it is gone', parts: ['a', 'b'] }).endsWith(' reason="it is gone" parts=["a","b"]'))
  })

  it('keeps the trace id, for the search field of Zipkin, and hides fields for machines', () => {
    assert.ok(render({ trace_id: 'a33e', span_id: '6f9d', request_id: '8591' }).endsWith('listening trace=a33e'))
  })

  it('shows the stack of a grave error, and only the message of others', () => {
    const err = { type: 'Error', message: 'boom', stack: 'Error: boom\n    at here' }
    assert.ok(render({ level: 'error', err }).endsWith('err=boom\n    Error: boom\n        at here'))
    assert.ok(render({ level: 'warn', err }).endsWith('err=boom'))
  })

  it('shows a line that is not a log line as it is', () => {
    for (const line of ['plain text', '{"level":"info","ti', '{"a":1}', '']) {
      assert.ok(renderLine('client', line, plain).endsWith(`client   │ ${line}`), line)
    }
  })
})

describe('LogView', () => {
  it('shows every line of a stream, also an incomplete last one, without colours if there is no terminal', async () => {
    const out = new PassThrough()
    const stream = new PassThrough()
    new LogView(out).follow('client', stream)
    stream.end('one\ntwo')
    await new Promise(resolve => stream.once('close', resolve))
    out.end()
    const lines = (await out.setEncoding('utf8').toArray()).join('').split('\n')
    assert.deepEqual(
      lines.map(line => line.trim()),
      ['client   │ one', 'client   │ two', ''],
    )
  })
})
