import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Attacks a callback service with few bytes, in one of three ways. The first argument has its settings as JSON. It prints its report as
 * JSON.
 * - pipelined: every second a new connection sends `count` requests at once, and reads the answers
 * - unread: connections send requests as fast as they can, and never read an answer
 * - crumbs: connections send a body of `count` chunks of one byte each, and never end it
 */
export interface HostileSettings {
  readonly kind: 'pipelined' | 'unread' | 'crumbs'
  readonly port: number
  /** Number of connections: per second if requests are pipelined, otherwise all at once. */
  readonly connections: number
  /** Number of requests or chunks on one connection. */
  readonly count: number
  /** The path of the requests. */
  readonly path: string
  /** The key of the hostile sender, if the service wants one. */
  readonly key?: string
  readonly seconds: number
}

export interface HostileReport {
  readonly opened: number
  readonly sentMb: number
  /** Number of connections that the server closed before the time was over. */
  readonly closed: number
}

const CRUMBS = 'POST /callback HTTP/1.1\r\nHost: hostile\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n'

if (import.meta.main) process.stdout.write(JSON.stringify(await attack(JSON.parse(process.argv[2] as string) as HostileSettings)))

async function attack({ kind, port, connections, count, path, key, seconds }: HostileSettings): Promise<HostileReport> {
  const access = key === undefined ? '' : `X-API-Key: ${key}\r\n`
  const request = `GET ${path} HTTP/1.1\r\nHost: hostile\r\n${access}\r\n`
  const bytes = kind === 'crumbs' ? `${CRUMBS}${access}\r\n${'1\r\n \r\n'.repeat(count)}` : request.repeat(count)
  const sockets: Socket[] = []
  let closed = 0
  const join = (): void => {
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => undefined)
    socket.once('close', () => {
      closed += 1
    })
    if (kind === 'unread') socket.pause()
    else socket.resume()
    sockets.push(socket)
    socket.write(bytes)
  }
  const started = performance.now()
  for (let second = 0; second < seconds; second += 1) {
    if (second === 0 || kind === 'pipelined') for (let i = 0; i < connections; i += 1) join()
    await sleep(Math.max(0, started + Math.min(second + 1, seconds) * 1000 - performance.now()))
  }
  const sentMb = sockets.reduce((sum, { bytesWritten, writableLength }) => sum + bytesWritten - writableLength, 0) / 2 ** 20
  const report = { opened: sockets.length, sentMb, closed }
  for (const socket of sockets) socket.destroy()
  return report
}
