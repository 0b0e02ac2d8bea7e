import assert from 'node:assert/strict'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { WebSockets } from '#foundation/http/web-sockets.ts'
import { eventually } from '../../../../test/support/eventually.ts'
import type { StreamOptions } from '../../api/stream/get-stream.ts'
import { writeCursor } from '../../api/stream/stream-cursor.ts'
import type { StreamBatch } from '../../api/stream/stream-messages.ts'
import { changed } from '../domain/streaming/changed.ts'
import { DirectoryInMemory } from './gates/directory-in-memory.ts'
import { type ApiDoubles, serveApi } from './serve-api.ts'

type Listener = Parameters<StreamOptions['listen']>[0]

const POSITION = { atUs: 1_795_440_571_073_923, clockStep: 2 }

function batchOf(changes: Partial<StreamBatch>): StreamBatch {
  return { callbacks: [], kind: 'changes', position: POSITION, isCurrent: false, ...changes }
}

describe('GET /v1/stream', () => {
  let api: Awaited<ReturnType<typeof serveApi>>
  let sockets: WebSockets
  let listeners: Listener[]
  let stopped: number
  let client: WebSocket | undefined

  async function start(doubles: ApiDoubles = {}, max = 1): Promise<void> {
    ;[listeners, stopped, client] = [[], 0, undefined]
    sockets = new WebSockets({ max })
    sockets.start()
    const listen = (listener: Listener) => {
      listeners.push(listener)
      return () => {
        stopped += 1
      }
    }
    api = await serveApi({ sockets, listen, ...doubles })
  }

  function connect(query = '', headers: Record<string, string> = {}) {
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}/v1/stream${query}`, { headers })
    client ??= socket
    socket.on('error', () => undefined)
    const messages: { id?: string; cursor?: string; kind?: string; href?: string }[][] = []
    socket.on('message', text => messages.push(JSON.parse(String(text))))
    return { socket, messages }
  }

  async function refusalOf(query: string, headers: Record<string, string> = {}): Promise<string> {
    const [, response] = (await once(connect(query, headers).socket, 'unexpected-response')) as [unknown, NodeJS.ReadableStream]
    let text = ''
    for await (const part of response) text += part
    const { status, code } = JSON.parse(text) as { status: number; code: string }
    return `${status} ${code}`
  }

  afterEach(async () => {
    client?.terminate()
    sockets.stop()
    await api.stop()
  })

  it('delivers callbacks with a cursor at the last, then says that the client is current', async () => {
    await start()
    const { socket, messages } = connect()
    await once(socket, 'open')
    listeners[0]?.deliver(batchOf({ callbacks: [changed({ id: 'a' }), changed({ id: 'b' })], kind: 'unfinished', isCurrent: true }))
    await eventually('both messages', () => messages.length === 2)
    assert.deepEqual(
      messages[0]?.map(({ id, cursor }) => [id, cursor]),
      [
        ['a', undefined],
        ['b', writeCursor('default', POSITION)],
      ],
    )
    assert.deepEqual(messages[1], [])
  })

  it('gives a cursor alone if there is no callback to carry it', async () => {
    await start()
    const { socket, messages } = connect()
    await once(socket, 'open')
    listeners[0]?.deliver(batchOf({ isCurrent: true }))
    listeners[0]?.deliver(batchOf({}))
    await eventually('both messages', () => messages.length === 2)
    assert.deepEqual(messages, [[{ kind: 'Cursor', cursor: writeCursor('default', POSITION) }], []])
  })

  it('splits a large batch, with one cursor at its end', async () => {
    await start()
    const { socket, messages } = connect()
    await once(socket, 'open')
    listeners[0]?.deliver(batchOf({ callbacks: Array.from({ length: 1000 }, (_, i) => changed({ id: `${i}` })) }))
    await eventually('all came', () => messages.flat().length === 1000)
    assert.ok(messages.length > 1 && messages.every(message => JSON.stringify(message).length <= 128 * 1024 + 2))
    assert.deepEqual(
      messages.flat().flatMap(({ id, cursor }) => (cursor ? id : [])),
      ['999'],
    )
  })

  it('writes messages once for all who want the same states, in whatever order they name them', async () => {
    await start({}, 2)
    const wanted = ['failed,cancelled', 'cancelled,failed,cancelled'].map(states => connect(`?state=${states}`))
    await Promise.all(wanted.map(({ socket }) => once(socket, 'open')))
    let reads = 0
    const batch = {
      ...batchOf({}),
      get callbacks() {
        reads += 1
        return [changed({ state: 'failed' })]
      },
    }
    for (const listener of listeners) listener.deliver(batch)
    await eventually('both came', () => wanted.every(({ messages }) => messages.length === 1))
    assert.equal(reads, 1)
    for (const { socket } of wanted) socket.terminate()
  })

  it('listens with its filter, its position and its workspace, and stops when the client leaves', async () => {
    const directory = new DirectoryInMemory()
    directory.addWorkspace('shop')
    await start({ directory })
    const { socket } = connect(`?workspace_id=shop&state=failed,cancelled&object_id=7&cursor=${writeCursor('shop', POSITION)}`)
    await once(socket, 'open')
    const { workspace, objectId, from } = listeners[0] as Listener
    assert.deepEqual({ workspace, objectId, from }, { workspace: 'shop', objectId: 7n, from: POSITION })
    socket.terminate()
    await eventually('it stops', () => stopped === 1)
  })

  it('closes with 4410 when the client must start over', async () => {
    await start()
    const { socket } = connect()
    await once(socket, 'open')
    listeners[0]?.startOver('too old')
    const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
    assert.deepEqual([code, String(reason)], [4410, 'too old'])
  })

  it('closes with 4401 within 2 s after the key is revoked', async () => {
    const directory = new DirectoryInMemory()
    directory.addWorkspace('shop')
    const key = directory.addKey('shop', 'read')
    await start({ directory, access: { mode: 'keys' } })
    const { socket } = connect('', { authorization: `Bearer ${key}` })
    await once(socket, 'open')
    directory.revoke(key)
    const started = performance.now()
    const [code] = (await once(socket, 'close')) as [number]
    assert.equal(code, 4401)
    assert.ok(performance.now() - started < 2000)
  })

  for (const [query, expected] of [
    [`?cursor=${writeCursor('shop', POSITION)}`, '400 invalid_parameter'],
    ['?cursor=garbage', '400 invalid_parameter'],
    ['?state=failed,broken', '400 invalid_parameter'],
    ['?state=', '400 invalid_parameter'],
    ['?object_id=x', '400 invalid_parameter'],
    ['?unknown=1', '400 invalid_parameter'],
    ['?workspace_id=nowhere', '404 workspace_not_found'],
  ] as const) {
    it(`answers ${query} with ${expected}`, async () => {
      await start()
      assert.equal(await refusalOf(query), expected)
    })
  }

  it('refuses pages of other origins, but for those in http.corsOrigins', async () => {
    await start({ corsOrigins: 'https://app.example' })
    assert.equal(await refusalOf('', { origin: 'https://evil.example' }), '403 origin_not_allowed')
    client = undefined
    await once(connect('', { origin: 'https://app.example' }).socket, 'open')
  })

  it('answers a request that asks for no WebSocket with 426', async () => {
    await start()
    assert.equal((await fetch(`${api.url}/v1/stream`)).status, 426)
  })

  it('refuses more streams than it may have, and measures them like all requests', async () => {
    await start()
    await once(connect().socket, 'open')
    assert.equal(await refusalOf(''), '503 too_many_streams')
    await eventually('both are measured', () => api.measured.length === 2)
    assert.deepEqual(
      api.measured.map(({ route, status }) => [route, status]),
      [
        ['/v1/stream', 101],
        ['/v1/stream', 503],
      ],
    )
  })
})
