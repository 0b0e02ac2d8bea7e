import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

/**
 * A cheap client service that answers after a random time between DELAY_MIN_MS and DELAY_MAX_MS, each equally likely.
 * The state of an object changes every second. An answer has the state at the time of the request.
 * `GET /` at the admin port lists all requests, see `Question`.
 */

/** A request: its object, when it came and when its answer left (0: not yet), both in epoch milliseconds, and the answered state. */
export type Question = [id: number, cameAtMs: number, answeredAtMs: number, isOnline: boolean]

const [minMs, maxMs] = [Number(process.env['DELAY_MIN_MS']), Number(process.env['DELAY_MAX_MS'])]
const questions: Question[] = []

const objects = createServer({ noDelay: true }, socket => {
  let text = ''
  socket.on('error', () => socket.destroy())
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
    if (!text.endsWith('\r\n\r\n')) return
    answer(socket, Number(/^GET \/objects\/(\d+) /.exec(text)?.[1]))
    text = ''
  })
})
const admin = createHttpServer((_request, response) => response.end(JSON.stringify(questions)))

for (const [name, server] of [
  ['http', objects],
  ['admin', admin],
] as const) {
  await new Promise<void>(resolve => server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve))
  log({ msg: 'listening', server: name, port: portOf(server) })
}
log({ msg: 'service started' })

function answer(socket: Socket, id: number): void {
  const now = Date.now()
  const isOnline = (id + Math.floor(now / 1000)) % 2 === 0
  const question: Question = [id, now, 0, isOnline]
  questions.push(question)
  setTimeout(
    () => {
      if (socket.destroyed) return
      const body = `{"id":${id},"online":${isOnline}}`
      question[2] = Date.now()
      socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`, 'latin1')
    },
    Math.round(minMs + Math.random() * (maxMs - minMs)),
  )
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

function log(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
