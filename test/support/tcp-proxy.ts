import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

interface Pair {
  readonly client: Socket
  readonly server: Socket
  isAbandoned: boolean
  /** Its next answer is the one that is watched for. */
  isWatched: boolean
}

interface Watch {
  readonly words: string
  readonly at: 'question' | 'answer'
  readonly act: () => void
}

/**
 * Stands between a pool and Postgres and makes the trouble a network makes. What it does holds for connections made from then on; what
 * becomes of those there are is said with each.
 */
export class TcpProxy {
  readonly #target: URL
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  #mode: 'forward' | 'refuse' | 'silent' = 'forward'
  #onAnswer: (() => void) | undefined
  #watch: Watch | undefined
  #connections = 0

  constructor(targetUrl: string) {
    this.#target = new URL(targetUrl)
    this.#server = createServer({ allowHalfOpen: true }, client => this.#join(client))
  }

  async start(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
  }

  /** The target's URL, through the proxy. */
  get url(): string {
    const url = new URL(this.#target)
    url.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return url.href
  }

  /** Connections tried so far. */
  get connections(): number {
    return this.#connections
  }

  forward(): void {
    this.#mode = 'forward'
  }

  /** Resets every connection, old and new: what a server that is down looks like. */
  refuse(): void {
    this.#mode = 'refuse'
    this.cut()
  }

  /** Nothing comes through any more, on old connections and new ones, and nobody is told. Old ones stay silent for good. */
  goSilent(): void {
    this.#mode = 'silent'
    for (const { client, server } of this.#pairs) {
      client.unpipe(server).pause()
      server.unpipe(client).pause()
    }
  }

  /** What is asked gets through, and no answer comes back any more; new connections are silent. */
  swallowAnswers(): void {
    this.#mode = 'silent'
    for (const { client, server } of this.#pairs) server.unpipe(client).resume()
  }

  /** Resets the connections there are. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy()
      server.destroy()
    }
  }

  /** Resets the connections there are, and leaves Postgres in the belief that they live: until the next `cut`. */
  abandon(): void {
    for (const pair of this.#pairs) {
      pair.isAbandoned = true
      pair.client.resetAndDestroy()
    }
  }

  /** Lets what is asked through, and resets the connection instead of delivering the next answer. Resolves when that has happened. */
  loseNextAnswer(): Promise<void> {
    return new Promise(resolve => {
      this.#onAnswer = resolve
    })
  }

  /**
   * Calls `act` once, as soon as a statement with these words is on its way, or the first of its answer is: before it is passed on.
   * @returns whether that has happened within `withinMs`
   */
  atStatement(words: string, at: Watch['at'], withinMs: number, act: () => void): Promise<boolean> {
    return new Promise(resolve => {
      const end = (hasHappened: boolean): void => {
        clearTimeout(deadline)
        this.#watch = undefined
        for (const pair of this.#pairs) pair.isWatched = false
        if (hasHappened) act()
        resolve(hasHappened)
      }
      const deadline = setTimeout(() => end(false), withinMs)
      this.#watch = { words, at, act: () => end(true) }
    })
  }

  async stop(): Promise<void> {
    this.cut()
    await once(this.#server.close(), 'close')
  }

  #join(client: Socket): void {
    const server = connect(Number(this.#target.port), this.#target.hostname)
    const pair: Pair = { client, server, isAbandoned: false, isWatched: false }
    this.#pairs.add(pair)
    this.#connections += 1
    for (const socket of [client, server]) {
      socket.on('error', () => undefined)
      socket.once('close', () => {
        if (pair.isAbandoned && !server.destroyed) return
        this.#pairs.delete(pair)
        client.destroy()
        server.destroy()
      })
    }
    if (this.#mode === 'refuse') client.resetAndDestroy()
    if (this.#mode !== 'forward') return
    // Before the pipes: what is lost must be gone when they would write it.
    client.on('data', question => this.#watchQuestion(pair, question))
    client.pipe(server)
    server.on('data', () => {
      if (pair.isWatched) this.#watch?.act()
      this.#loseAnswer(pair)
    })
    server.pipe(client)
  }

  #watchQuestion(pair: Pair, question: Buffer): void {
    if (!this.#watch || !question.includes(this.#watch.words)) return
    if (this.#watch.at === 'question') this.#watch.act()
    else pair.isWatched = true
  }

  #loseAnswer({ client }: Pair): void {
    if (!this.#onAnswer) return
    client.resetAndDestroy()
    this.#onAnswer()
    this.#onAnswer = undefined
  }
}
