import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createNetServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { HttpListeners } from '../../http/listeners.ts'

const HOST = '127.0.0.1'

describe('HttpListeners', () => {
  const { platform } = process
  let server: Server
  let listeners: HttpListeners

  beforeEach(() => {
    server = createServer((_request, response) => setTimeout(() => response.end('answered'), 20))
    listeners = new HttpListeners(server)
  })

  afterEach(async () => {
    Object.defineProperty(process, 'platform', { value: platform })
    await listeners.stop()
  })

  const portOf = (one: { address(): unknown }): number => (one.address() as AddressInfo).port

  /** How many sockets listen on the port, by the kernel (https://docs.kernel.org/networking/proc_net_tcp.html). */
  function socketsOn(port: number): number {
    const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
    const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n')
    return rows.map(row => row.trim().split(/\s+/)).filter(([, address, , state]) => address?.endsWith(local) && state === '0A').length
  }

  async function ask(port: number): Promise<string> {
    const socket = connect(port, HOST)
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    return text(socket)
  }

  describe('on Linux', () => {
    before(function () {
      if (platform !== 'linux') this.skip()
    })

    it('listens with four sockets, all alike, and answers on all of them', async () => {
      await listeners.start(0, HOST)
      assert.equal(socketsOn(portOf(server)), 4)
      const areHalfOpen: boolean[] = []
      server.on('connection', ({ allowHalfOpen }) => areHalfOpen.push(allowHalfOpen))
      const answers = await Promise.all(Array.from({ length: 40 }, () => ask(portOf(server))))
      assert.ok(answers.every(answer => answer.endsWith('answered')))
      // As Node's HTTP server takes its own.
      assert.deepEqual(areHalfOpen, Array(40).fill(true))
    })

    it('takes no port that another has, though that would share it', async () => {
      const other = createNetServer().listen({ port: 0, host: HOST, reusePort: true })
      await once(other, 'listening')
      const port = portOf(other)
      await assert.rejects(listeners.start(port, HOST), { code: 'EADDRINUSE' })
      assert.equal(socketsOn(port), 1)
      other.close()
      await once(other, 'close')
      await listeners.start(port, HOST)
      assert.equal(socketsOn(port), 4)
    })

    it('ends with all of its sockets, after the answers under way', async () => {
      await listeners.start(0, HOST)
      const port = portOf(server)
      const answer = ask(port)
      await once(server, 'request')
      await listeners.stop()
      assert.equal(socketsOn(port), 0)
      assert.match(await answer, /answered$/)
    })
  })

  it('listens with one socket elsewhere', async () => {
    Object.defineProperty(process, 'platform', { value: 'darwin' })
    await listeners.start(0, HOST)
    if (platform === 'linux') assert.equal(socketsOn(portOf(server)), 1)
    assert.match(await ask(portOf(server)), /answered$/)
  })

  it('says why it cannot listen, and leaves errors that come later to others', async () => {
    await assert.rejects(listeners.start(0, '192.0.2.1'), { code: 'EADDRNOTAVAIL' })
    await listeners.start(0, HOST)
    assert.equal(server.listenerCount('error'), 0)
  })
})
