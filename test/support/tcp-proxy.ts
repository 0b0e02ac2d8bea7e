import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

interface Pair {
  readonly client: Socket
  readonly server: Socket
  isAbandoned: boolean
  /** Whether its next answer is the one that the watch waits for. */
  isWatched: boolean
}

interface Watch {
  readonly words: string
  readonly at: 'question' | 'answer'
  readonly act: () => void
}

/**
 * A proxy in front of Postgres or a service that makes network faults. Each fault applies to new connections; its docstring says what happens
 * to the existing ones.
 */
export class TcpProxy {
  readonly #target: () => URL | undefined
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  #mode: 'forward' | 'refuse' | 'silent' = 'forward'
  #onAnswer: (() => void) | undefined
  #watch: Watch | undefined
  #connections = 0

  /** @param target a URL, or a function that chooses one for each connection; undefined refuses the connection */
  constructor(target: string | (() => string | undefined)) {
    const choose = typeof target === 'string' ? () => target : target
    this.#target = () => {
      const url = choose()
      return url === undefined ? undefined : new URL(url)
    }
    this.#server = createServer({ allowHalfOpen: true }, client => this.#join(client))
  }

  async start(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
  }

  /** The target's URL, through the proxy. If there is no target now, it is an http URL. */
  get url(): string {
    const url = this.#target() ?? new URL('http://127.0.0.1')
    url.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return url.href
  }

  /** Number of connections that were opened to the proxy so far. */
  get connections(): number {
    return this.#connections
  }

  forward(): void {
    this.#mode = 'forward'
  }

  /** Resets all connections, existing and new, like a server that is down. */
  refuse(): void {
    this.#mode = 'refuse'
    this.cut()
  }

  /** Stops all traffic on existing and new connections without closing them. The existing ones stay silent forever. */
  goSilent(): void {
    this.#mode = 'silent'
    for (const { client, server } of this.#pairs) {
      client.unpipe(server).pause()
      server.unpipe(client).pause()
    }
  }

  /** Forwards statements on existing connections, but drops all answers. New connections are silent. */
  swallowAnswers(): void {
    this.#mode = 'silent'
    for (const { client, server } of this.#pairs) server.unpipe(client).resume()
  }

  /** Resets the existing connections. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy()
      server.destroy()
    }
  }

  /** Resets the clients of the existing connections, but keeps the connections to Postgres open until the next `cut`. */
  abandon(): void {
    for (const pair of this.#pairs) {
      pair.isAbandoned = true
      pair.client.resetAndDestroy()
    }
  }

  /** Resets the connection instead of delivering the next answer; statements still get through. Resolves when that has happened. */
  loseNextAnswer(): Promise<void> {
    return new Promise(resolve => {
      this.#onAnswer = resolve
    })
  }

  /**
   * Calls `act` once, when a statement with these words arrives, or the first part of its answer. It does so before it forwards them.
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
    const target = this.#target()
    if (!target) {
      client.on('error', () => undefined).resetAndDestroy()
      return
    }
    const server = connect(Number(target.port), target.hostname)
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
    // These listeners must come before the pipes, so that a lost answer is gone before a pipe can write it.
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
