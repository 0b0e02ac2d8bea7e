import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { followStream, type Socket } from '../../web/stream-follower.ts'

const CALLBACK = { kind: 'Callback', id: 'a', state: 'pending' }

describe('followStream', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
  afterEach(() => mock.timers.reset())

  it('says when everything has come', () => {
    const { sockets, seen } = following()
    sockets[0]?.open()
    sockets[0]?.send([CALLBACK])
    sockets[0]?.send([])
    assert.deepEqual(seen, ['connecting', 'behind', [CALLBACK], 'live'])
  })

  it('ignores elements of a kind that it does not know', () => {
    const { sockets, seen } = following()
    sockets[0]?.send([{ kind: 'Weather' }, CALLBACK])
    assert.deepEqual(seen.slice(1), [[CALLBACK]])
  })

  it('goes on after the last cursor when the connection is cut', () => {
    const { sockets, cursors } = following()
    sockets[0]?.send([{ ...CALLBACK, cursor: 'c1' }, CALLBACK])
    sockets[0]?.send([{ kind: 'Cursor', cursor: 'c2' }])
    sockets[0]?.send([CALLBACK])
    sockets[0]?.cut(1006)
    mock.timers.tick(250)
    assert.deepEqual(cursors, [undefined, 'c2'])
  })

  it('starts over, without its cursor, when the service says so', () => {
    const { sockets, cursors, seen } = following()
    sockets[0]?.send([{ kind: 'Cursor', cursor: 'c1' }])
    sockets[0]?.cut(4410)
    mock.timers.tick(250)
    assert.deepEqual(
      [cursors, seen],
      [
        [undefined, undefined],
        ['connecting', 'over', 'lost', 'connecting'],
      ],
    )
  })

  it('connects less and less often while nobody answers', () => {
    const { sockets } = following()
    const waits = [250, 500, 1000, 2000, 4000, 5000, 5000]
    for (const [tries, wait] of waits.entries()) {
      sockets[tries]?.cut(1006)
      mock.timers.tick(wait - 1)
      assert.equal(sockets.length, tries + 1, `before ${wait} ms`)
      mock.timers.tick(1)
      assert.equal(sockets.length, tries + 2, `after ${wait} ms`)
    }
  })

  it('connects quickly again once something has come', () => {
    const { sockets } = following()
    sockets[0]?.cut(1006)
    mock.timers.tick(250)
    sockets[1]?.send([])
    sockets[1]?.cut(1006)
    mock.timers.tick(250)
    assert.equal(sockets.length, 3)
  })

  it('leaves a connection that is silent, without waiting for it to close', () => {
    const { sockets, seen } = following()
    sockets[0]?.open()
    mock.timers.tick(45_000)
    mock.timers.tick(250)
    assert.deepEqual([sockets[0]?.isClosed, sockets.length, seen], [true, 2, ['connecting', 'behind', 'lost', 'connecting']])
  })

  it('leaves a connection that does not open', () => {
    const { sockets } = following()
    mock.timers.tick(10_000)
    mock.timers.tick(250)
    assert.equal(sockets.length, 2)
  })

  it('hears nothing more of a connection that it has left', () => {
    const { sockets, seen } = following()
    mock.timers.tick(10_000)
    sockets[0]?.send([CALLBACK])
    sockets[0]?.cut(1006)
    assert.deepEqual(seen, ['connecting', 'lost'])
  })

  it('connects no more once ended', () => {
    const { sockets, end, seen } = following()
    sockets[0]?.open()
    end()
    sockets[0]?.cut(1006)
    mock.timers.tick(60_000)
    assert.deepEqual([sockets.length, sockets[0]?.isClosed, seen], [1, true, ['connecting', 'behind']])
  })

  it('closes a connection that was not yet open as soon as it is, because browsers warn otherwise', () => {
    const { sockets, end, seen } = following()
    end()
    assert.equal(sockets[0]?.isClosed, false)
    sockets[0]?.open()
    mock.timers.tick(60_000)
    assert.deepEqual([sockets.length, sockets[0]?.isClosed, seen], [1, true, ['connecting']])
  })

  it('connects no more if it ended while it waited', () => {
    const { sockets, end } = following()
    sockets[0]?.cut(1006)
    end()
    mock.timers.tick(60_000)
    assert.equal(sockets.length, 1)
  })
})

/** Follows a stream whose connections the test makes. Without jitter it waits as long as it can. */
function following() {
  const sockets: FakeSocket[] = []
  const cursors: (string | undefined)[] = []
  const seen: unknown[] = []
  const end = followStream(
    cursor => {
      const socket = new FakeSocket()
      sockets.push(socket)
      cursors.push(cursor)
      return socket
    },
    { onCallbacks: callbacks => seen.push(callbacks), onState: state => seen.push(state), onStartOver: () => seen.push('over') },
    () => 1,
  )
  return { sockets, cursors, seen, end }
}

class FakeSocket implements Socket {
  onopen: Socket['onopen'] = null
  onmessage: Socket['onmessage'] = null
  onclose: Socket['onclose'] = null
  isClosed = false

  close(): void {
    this.isClosed = true
  }

  open(): void {
    this.onopen?.(undefined as never)
  }

  send(elements: readonly unknown[]): void {
    this.onmessage?.({ data: JSON.stringify(elements) } as MessageEvent)
  }

  cut(code: number): void {
    this.onclose?.({ code } as CloseEvent)
  }
}
