import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { readBody } from '../../http/body.ts'

const MAX_BYTES = 65_536

describe('readBody', () => {
  /** Makes a request whose body comes in chunks of `chunkBytes`. */
  function requestOf(body: Buffer, chunkBytes: number): IncomingMessage {
    const stream = new PassThrough({ highWaterMark: 2 * MAX_BYTES })
    for (let at = 0; at < body.length; at += chunkBytes) stream.write(body.subarray(at, at + chunkBytes))
    stream.end()
    return Object.assign(stream, { headers: {}, socket: new PassThrough() }) as unknown as IncomingMessage
  }

  const body = Buffer.from('0123456789abcdef'.repeat(MAX_BYTES / 16))

  for (const chunkBytes of [MAX_BYTES, 40_000, 1000, 17]) {
    it(`returns a body in chunks of ${chunkBytes} bytes as it was sent, in a buffer at most twice as large`, async () => {
      const read = await readBody(requestOf(body, chunkBytes), MAX_BYTES)
      assert.ok(read.equals(body))
      assert.ok(read.buffer.byteLength <= 2 * body.length, `${read.buffer.byteLength} bytes`)
    })
  }

  it('returns a small body in a small buffer', async () => {
    const read = await readBody(requestOf(body.subarray(0, 1000), 1), MAX_BYTES)
    assert.ok(read.equals(body.subarray(0, 1000)))
    assert.ok(read.buffer.byteLength <= 2000, `${read.buffer.byteLength} bytes`)
  })

  it('refuses thousands of chunks of one byte', async () => {
    await assert.rejects(readBody(requestOf(body, 1), MAX_BYTES), { code: 'bad_request', message: 'The chunks of the body are too small.' })
  })
})
