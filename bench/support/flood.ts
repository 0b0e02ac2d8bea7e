import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ascending, percentile } from './percentile.ts'

/**
 * Sends callbacks at a fixed rate, whatever becomes of them, and costs as little as it can: it shares the machine with what it measures.
 * Just enough HTTP for that: bytes made once, one request at a time on each connection, the status read off the first line of its answer.
 * Takes its settings as JSON in its first argument, prints its report as JSON.
 */
export interface FloodSettings {
  readonly port: number
  /** Undefined: each connection sends when it has its answer. */
  readonly perSecond?: number
  readonly seconds: number
  /** What is answered in the first seconds does not count: a queue must fill before one sees what it does. */
  readonly warmSeconds: number
  readonly body: string
  /** Bytes of headers that say nothing. */
  readonly headerBytes?: number
  /** All are opened before the first request is sent. When all wait for an answer, what is due is not sent. */
  readonly connections: number
}

export interface FloodReport {
  readonly sent: number
  /** Due, and not sent for want of a connection. */
  readonly unsent: number
  /** Connections that ended while an answer was awaited. */
  readonly cut: number
  /** Without an answer also `GRACE_MS` after the last was sent. */
  readonly unanswered: number
  /** For each status. */
  readonly answers: Readonly<Record<string, Answers>>
}

export interface Answers {
  readonly count: number
  /** Answered a second, from when it was warm until the last request was sent. */
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

const GRACE_MS = 3000
const TICK_MS = 2

class Flood {
  readonly #settings: FloodSettings
  readonly #request: Buffer
  #warmAt = 0
  #endsAt = 0
  readonly #idle: Socket[] = []
  readonly #sentAt = new Map<Socket, number>()
  readonly #times = new Map<string, { ms: number; isCounted: boolean }[]>()
  #open = 0
  #sent = 0
  #unsent = 0
  #cut = 0

  constructor(settings: FloodSettings) {
    this.#settings = settings
    this.#request = Buffer.from(requestOf(settings), 'latin1')
  }

  async run(): Promise<FloodReport> {
    const { perSecond, seconds, warmSeconds, connections } = this.#settings
    while (this.#open < connections) await this.#join()
    const startedAt = performance.now()
    this.#warmAt = startedAt + warmSeconds * 1000
    this.#endsAt = startedAt + seconds * 1000
    for (let [now, done] = [startedAt, 0]; now < this.#endsAt; now = performance.now()) {
      const due = perSecond === undefined ? connections : Math.floor(((now - startedAt) / 1000) * perSecond)
      for (; done < due; done += 1) this.#sendOne()
      await sleep(TICK_MS)
    }
    for (const until = this.#endsAt + GRACE_MS; this.#sentAt.size > 0 && performance.now() < until; ) await sleep(TICK_MS)
    const answers = Object.fromEntries([...this.#times].map(([status, all]) => [status, figures(all, seconds - warmSeconds)]))
    const report = { sent: this.#sent, unsent: this.#unsent, cut: this.#cut, unanswered: this.#sentAt.size, answers }
    for (const socket of [...this.#idle, ...this.#sentAt.keys()]) socket.destroy()
    return report
  }

  #sendOne(): void {
    const socket = this.#idle.pop()
    if (socket) this.#send(socket)
    else this.#unsent += 1
    if (this.#open < this.#settings.connections) void this.#join()
  }

  #send(socket: Socket): void {
    this.#sent += 1
    this.#sentAt.set(socket, performance.now())
    socket.write(this.#request)
  }

  /** Resolves when the connection is there, or is not to be had. */
  #join(): Promise<void> {
    const socket = connect({ port: this.#settings.port, host: '127.0.0.1', noDelay: true })
    this.#open += 1
    socket.once('connect', () => this.#idle.push(socket))
    socket.on('error', () => undefined)
    socket.on('data', chunk => this.#onAnswer(socket, chunk))
    socket.once('close', () => {
      this.#open -= 1
      if (this.#sentAt.delete(socket)) this.#cut += 1
      const index = this.#idle.indexOf(socket)
      if (index >= 0) this.#idle.splice(index, 1)
    })
    return new Promise(resolve => socket.once('connect', resolve).once('close', () => resolve()))
  }

  /** An answer is one small segment, or begins with one: what follows its first line is not looked at. */
  #onAnswer(socket: Socket, chunk: Buffer): void {
    const sentAt = this.#sentAt.get(socket)
    if (sentAt === undefined || chunk.toString('latin1', 0, 5) !== 'HTTP/') return
    const now = performance.now()
    const status = chunk.toString('latin1', 9, 12)
    const answer = { ms: now - sentAt, isCounted: now >= this.#warmAt && now < this.#endsAt }
    const known = this.#times.get(status)
    if (known) known.push(answer)
    else this.#times.set(status, [answer])
    this.#sentAt.delete(socket)
    if (this.#settings.perSecond === undefined && now < this.#endsAt) this.#send(socket)
    else this.#idle.push(socket)
  }
}

function requestOf({ body, headerBytes = 0 }: FloodSettings): string {
  const padding = headerBytes > 0 ? `X-Padding: ${'x'.repeat(headerBytes)}\r\n` : ''
  return `POST /callback HTTP/1.1\r\nHost: flood\r\nContent-Type: application/json\r\n${padding}Content-Length: ${body.length}\r\n\r\n${body}`
}

function figures(answers: readonly { ms: number; isCounted: boolean }[], seconds: number): Answers {
  const sorted = ascending(answers.map(({ ms }) => ms))
  return {
    count: sorted.length,
    perSecond: answers.filter(({ isCounted }) => isCounted).length / seconds,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    maxMs: percentile(sorted, 1),
  }
}

if (import.meta.main) {
  const settings = JSON.parse(process.argv[2] as string) as FloodSettings
  process.stdout.write(JSON.stringify(await new Flood(settings).run()))
}
