import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'

/**
 * A client service that answers at once and a Zipkin that accepts everything, both cheap, so that the benchmark does not measure them. The
 * client service speaks just enough HTTP for `GET /objects/:id` on kept-alive connections. At the collector, `GET /requests` returns the
 * number of these requests, and any other `GET` returns the number of spans.
 */
let requests = 0
const objects = createServer({ noDelay: true }, socket => {
  let text = ''
  socket.on('error', () => socket.destroy())
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
    let answers = ''
    for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
      const id = /^GET \/objects\/(-?\d+) /.exec(text)?.[1]
      if (id === undefined) {
        socket.destroy()
        return
      }
      requests += 1
      const body = `{"id":${id},"online":${(id.charCodeAt(id.length - 1) & 1) === 0}}`
      answers += `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
      text = text.slice(end + 4)
    }
    if (answers !== '') socket.write(answers, 'latin1')
  })
})

let spans = 0
const collector = createHttpServer((request, response) => {
  if (request.method === 'GET') {
    response.end(String(request.url === '/requests' ? requests : spans))
    return
  }
  let body = ''
  request.setEncoding('latin1').on('data', chunk => {
    body += chunk
  })
  request.on('end', () => {
    spans += body.split('"traceId"').length - 1
    response.writeHead(202).end()
  })
})

for (const [name, server] of [
  ['http', objects],
  ['admin', collector],
] as const) {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  log({ msg: 'listening', server: name, port: portOf(server) })
}
log({ msg: 'service started' })

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

function log(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
