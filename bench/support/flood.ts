import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ascending, percentile } from './percentile.ts'

/**
 * Sends callbacks at a fixed rate, regardless of their answers. It costs little CPU, because it shares the machine with the service that it
 * measures. It speaks just enough HTTP: it makes the bytes once, sends one request at a time on each connection, and reads only the status
 * line. The first argument has its settings as JSON. It prints its report as JSON.
 */
export interface FloodSettings {
  readonly port: number
  /** Callbacks per second. If undefined, each connection sends the next callback when it has its answer. */
  readonly perSecond?: number
  readonly seconds: number
  /** Time in which answers do not count, because queues must fill first. */
  readonly warmSeconds: number
  readonly body: string
  /** Size of additional headers without meaning. */
  readonly headerBytes?: number
  /** Number of connections. All are opened before the first request. While all wait for an answer, due callbacks are not sent. */
  readonly connections: number
}

export interface FloodReport {
  readonly sent: number
  /** Number of callbacks that were not sent because no connection was free. */
  readonly unsent: number
  /** Number of connections that ended while they waited for an answer. */
  readonly cut: number
  /** Number of callbacks without an answer `GRACE_MS` after the last one was sent. */
  readonly unanswered: number
  /** The answers by status. */
  readonly answers: Readonly<Record<string, Answers>>
}

export interface Answers {
  readonly count: number
  /** Answers per second, from the end of the warm-up until the last request was sent. */
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

  /** Resolves when the connection is open, or when it failed. */
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

  /** Reads the status of an answer. An answer begins with one small segment; everything after the first line is ignored. */
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
