import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { freePort, isPortFree } from '../ports.ts'

describe('freePort', () => {
  it('gives another free port with each call, which the kernel gives to nobody else', async () => {
    const ports = [await freePort(), await freePort(), await freePort()]
    assert.equal(new Set(ports).size, 3)
    for (const port of ports) {
      assert.ok(port >= 20_000 && port < 32_768, `${port}`)
      assert.ok(await isPortFree(port, '127.0.0.1'))
    }
  })

  it('passes over a port that is in use', async () => {
    const port = await freePort()
    const server = createServer().listen(port + 1, '127.0.0.1')
    await once(server, 'listening')
    assert.equal(await isPortFree(port + 1, '127.0.0.1'), false)
    assert.notEqual(await freePort(), port + 1)
    await once(server.close(), 'close')
  })
})
