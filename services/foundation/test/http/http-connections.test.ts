import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { mock } from 'node:test'
import { HttpConnections } from '../../http/connections.ts'

const MIB = 1024 * 1024

/** What of a socket is seen here. */
class TestSocket extends EventEmitter {
  writableLength = 0
  timeout: number | undefined
  readonly timeouts: number[] = []
  isPaused = false
  isDestroyed = false

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.emit('resume')
  }

  setTimeout(ms: number): void {
    this.timeout = ms
    this.timeouts.push(ms)
  }

  destroy(): void {
    this.isDestroyed = true
    setImmediate(() => this.emit('close'))
  }
}

interface TestRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly complete?: boolean
}

const nextTurn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('HttpConnections', () => {
  let connections: HttpConnections
  /** Names of the requests that were handed on, and how each is answered. */
  let handled: string[]
  let responses: Map<string, EventEmitter>
  let overs: number

  beforeEach(() => {
    handled = []
    responses = new Map()
    overs = 0
    connections = new HttpConnections({
      handle: request => handled.push(request.url as string),
      onOver: () => {
        overs += 1
      },
    })
  })

  function open(): TestSocket {
    const socket = new TestSocket()
    connections.add(socket as unknown as Socket)
    return socket
  }

  /** @returns whether its body was thrown away */
  function send(socket: TestSocket, url: string, { method = 'GET', headers = {}, complete = true }: TestRequest = {}): boolean {
    let isDropped = false
    const drop = (): void => {
      isDropped = true
    }
    const response = new EventEmitter()
    responses.set(url, response)
    connections.take({ url, socket, method, headers, complete, resume: drop } as unknown as IncomingMessage, response as ServerResponse)
    return isDropped
  }

  function sendMany(socket: TestSocket, count: number, request: TestRequest = {}): void {
    for (let i = 0; i < count; i += 1) send(socket, `${i}`, request)
  }

  const answer = (url: string): boolean | undefined => responses.get(url)?.emit('close')
  const refuse = (socket: TestSocket, refusal: () => void): void => connections.refuse(socket as unknown as Socket, refusal)
  const makeRoom = (newest: TestSocket): void => connections.makeRoom(newest as unknown as Socket)
  const isHandling = (socket: TestSocket): boolean => connections.isHandling(socket as unknown as Socket)
  const destroyed = (...sockets: TestSocket[]): boolean[] => sockets.map(socket => socket.isDestroyed)

  describe('of a connection that sends ahead', () => {
    it('hands on one request at a time, each in a turn of its own, and reads on when the last has begun', async () => {
      const socket = open()
      for (const url of ['a', 'b', 'c']) send(socket, url)
      assert.deepEqual([handled, socket.isPaused, overs], [['a'], true, 0])
      answer('a')
      assert.deepEqual([handled, overs, isHandling(socket)], [['a'], 1, false])
      await nextTurn()
      assert.deepEqual([handled, socket.isPaused, isHandling(socket)], [['a', 'b'], true, true])
      answer('b')
      await nextTurn()
      assert.deepEqual([handled, socket.isPaused, overs], [['a', 'b', 'c'], false, 2])
      answer('c')
      await nextTurn()
      send(socket, 'd')
      assert.deepEqual([handled, socket.isPaused], [['a', 'b', 'c', 'd'], false])
    })

    it('has a request wait behind those that are held, though none is under way', async () => {
      const socket = open()
      for (const url of ['a', 'b']) send(socket, url)
      answer('a')
      send(socket, 'c')
      assert.deepEqual(handled, ['a'])
      await nextTurn()
      answer('b')
      await nextTurn()
      assert.deepEqual(handled, ['a', 'b', 'c'])
    })

    it('keeps it paused when Node resumes it at the end of a request, and only then', () => {
      const [ahead, other] = [open(), open()]
      for (const url of ['a', 'b']) send(ahead, url)
      send(other, 'c')
      ahead.resume()
      other.resume()
      assert.deepEqual([ahead.isPaused, other.isPaused], [true, false])
    })

    it('gives each connection its turn', async () => {
      const [one, other] = [open(), open()]
      for (const url of ['a', 'b']) send(one, url)
      for (const url of ['c', 'd']) send(other, url)
      answer('a')
      answer('c')
      await nextTurn()
      assert.deepEqual(handled, ['a', 'c', 'b'])
      await nextTurn()
      assert.deepEqual(handled, ['a', 'c', 'b', 'd'])
    })

    it('hands on nothing of a connection that closes before its turn, and goes on with the next', async () => {
      const [one, other] = [open(), open()]
      for (const url of ['a', 'b']) send(one, url)
      for (const url of ['c', 'd']) send(other, url)
      answer('a')
      answer('c')
      one.emit('close')
      send(one, 'e')
      await nextTurn()
      await nextTurn()
      assert.deepEqual([handled, connections.count], [['a', 'c', 'd'], 1])
    })

    it('holds 256 requests, and closes it for another', () => {
      const socket = open()
      sendMany(socket, 257)
      assert.deepEqual([socket.isDestroyed, connections.count], [false, 1])
      send(socket, 'one more')
      assert.deepEqual([socket.isDestroyed, connections.count, handled], [true, 0, ['0']])
    })

    it('holds 1,024 requests of all connections, and closes the one that sends another', () => {
      const sockets = Array.from({ length: 4 }, open)
      for (const socket of sockets) sendMany(socket, 257)
      const late = open()
      send(late, 'a')
      assert.deepEqual(new Set(destroyed(...sockets, late)), new Set([false]))
      send(late, 'b')
      assert.deepEqual([late.isDestroyed, new Set(destroyed(...sockets))], [true, new Set([false])])
      // Those of a connection that is gone count no more.
      sockets[0]?.emit('close')
      const next = open()
      sendMany(next, 257)
      assert.equal(next.isDestroyed, false)
      const last = open()
      sendMany(last, 2)
      assert.equal(last.isDestroyed, true)
    })

    it('takes no turn for a connection that is gone, and keeps nothing of it', () => {
      const socket = open()
      sendMany(socket, 3)
      socket.emit('close')
      const immediate = mock.method(globalThis, 'setImmediate')
      answer('0')
      immediate.mock.restore()
      assert.equal(immediate.mock.callCount(), 0)
    })

    it('has room again for each that is handed on', async () => {
      const sockets = Array.from({ length: 4 }, open)
      for (const socket of sockets) sendMany(socket, 257)
      // Of the last connection: the others have requests of the same names.
      answer('0')
      await nextTurn()
      const late = open()
      sendMany(late, 2)
      assert.equal(late.isDestroyed, false)
      send(late, 'one more')
      assert.equal(late.isDestroyed, true)
    })

    it('counts a chunked one for 64', () => {
      const socket = open()
      sendMany(socket, 17, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } })
      assert.equal(socket.isDestroyed, false)
      send(socket, 'one more')
      assert.equal(socket.isDestroyed, true)
    })
  })

  for (const [method, headers, isDropped] of [
    ['GET', { 'content-length': '5' }, true],
    ['HEAD', { 'transfer-encoding': 'chunked' }, true],
    ['GET', {}, false],
    ['POST', { 'content-length': '5' }, false],
  ] as const) {
    it(`${isDropped ? 'drops' : 'leaves'} the body of a ${method} with ${JSON.stringify(headers)}`, () => {
      assert.equal(send(open(), 'a', { method, headers }), isDropped)
    })
  }

  it('handles no request of a connection that it does not know', () => {
    assert.equal(isHandling(new TestSocket()), false)
  })

  describe('when nothing more can be read of a connection', () => {
    let said: string[]
    const say = (what: string) => () => void said.push(what)

    beforeEach(() => {
      said = []
    })

    it('says so at once where nothing is to be answered before', () => {
      const [silent, half] = [open(), open()]
      send(half, 'a', { complete: false })
      refuse(silent, say('silent'))
      refuse(half, say('half'))
      assert.deepEqual(said, ['silent', 'half'])
    })

    it('says so at once of a connection it does not know', () => {
      refuse(new TestSocket(), say('unknown'))
      assert.deepEqual(said, ['unknown'])
    })

    it('says so after all answers to what came before, once, and reads nothing meanwhile', async () => {
      const socket = open()
      for (const url of ['a', 'b']) send(socket, url)
      refuse(socket, say('first'))
      refuse(socket, say('second'))
      for (const url of ['a', 'b']) {
        assert.deepEqual([said, socket.isPaused], [[], true])
        answer(url)
        await nextTurn()
      }
      assert.deepEqual([handled, said], [['a', 'b'], ['first']])
      await nextTurn()
      assert.deepEqual(said, ['first'])
    })

    it('stops reading while one request is answered', () => {
      const socket = open()
      send(socket, 'a')
      refuse(socket, say('refused'))
      assert.equal(socket.isPaused, true)
      socket.resume()
      assert.deepEqual([said, socket.isPaused], [[], true])
    })

    it('says so instead of handing on a request whose body it was', async () => {
      const socket = open()
      send(socket, 'a')
      send(socket, 'b', { complete: false })
      refuse(socket, say('refused'))
      answer('a')
      await nextTurn()
      assert.deepEqual([handled, said], [['a'], ['refused']])
    })
  })

  describe('makes room', () => {
    it('by the oldest that was not used and does not wait, never by the newest where there is one', () => {
      const [waiting, half, silent, newest] = [open(), open(), open(), open()]
      send(waiting, 'a')
      send(half, 'b', { complete: false })
      answer('b')
      makeRoom(newest)
      assert.deepEqual(destroyed(waiting, half, silent, newest), [false, false, true, false])
      assert.equal(connections.count, 3)
    })

    it('by one that was spared once and not used since, the oldest such first', () => {
      const [used, other] = [open(), open()]
      for (const [i, socket] of [used, other].entries()) {
        send(socket, `${i}`)
        answer(`${i}`)
      }
      const [silent, newest] = [open(), open()]
      makeRoom(newest)
      assert.deepEqual(destroyed(used, other, silent), [false, false, true])
      send(used, 'again')
      answer('again')
      makeRoom(newest)
      assert.deepEqual(destroyed(used, other, newest), [false, true, false])
    })

    it('by those that came since, before one that was spared', () => {
      const used = open()
      send(used, 'a')
      answer('a')
      const [silent, next] = [open(), open()]
      makeRoom(next)
      makeRoom(open())
      assert.deepEqual(destroyed(used, silent, next), [false, true, true])
    })

    it('by one that does not read its answer, though it waits', () => {
      const [unread, newest] = [open(), open()]
      send(unread, 'a')
      unread.writableLength = 1
      const first = open()
      makeRoom(newest)
      assert.deepEqual(destroyed(unread, first, newest), [false, true, false])
      makeRoom(newest)
      assert.deepEqual(destroyed(unread, newest), [true, false])
    })

    it('by the newest where all wait', () => {
      const [waiting, newest] = [open(), open()]
      send(waiting, 'a')
      makeRoom(newest)
      assert.deepEqual(destroyed(waiting, newest), [false, true])
    })
  })

  describe('watches peers that do not read', () => {
    it('for as long as it is told, and those once', () => {
      const [unread, reading] = [open(), open()]
      unread.writableLength = 1
      connections.watchUnread(4500)
      connections.watchUnread(4500)
      assert.deepEqual([unread.timeouts, reading.timeouts], [[4500], []])
    })

    it('and closes the oldest of them while more than 64 MiB wait', () => {
      const sockets = Array.from({ length: 4 }, open)
      const [reading, first, second, third] = sockets as [TestSocket, TestSocket, TestSocket, TestSocket]
      for (const socket of [first, second, third]) socket.writableLength = 32 * MIB
      connections.watchUnread(4500)
      assert.deepEqual(destroyed(reading, first, second, third), [false, true, false, false])
      connections.watchUnread(4500)
      assert.deepEqual(destroyed(second, third), [false, false])
    })
  })

  for (const alsoWaiting of [false, true]) {
    it(`cuts off those that have not sent a whole request${alsoWaiting ? ', and those that wait' : ''}`, () => {
      const [silent, half, waiting] = [open(), open(), open()]
      send(half, 'a', { complete: false })
      send(waiting, 'b')
      connections.cutOff(alsoWaiting)
      assert.deepEqual(destroyed(silent, half, waiting), [true, true, alsoWaiting])
    })
  }
})
