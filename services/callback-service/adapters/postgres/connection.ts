import { connect } from 'node:net'
import pg from 'pg'

/** The code of a CancelRequest. https://www.postgresql.org/docs/current/protocol-message-formats.html */
const CANCEL_REQUEST = 80_877_102

/** Parameters that we set ourselves. They are removed from the URL, because `pg` prefers the values in the URL. */
const OUR_PARAMETERS = ['options', 'statement_timeout', 'query_timeout', 'idle_in_transaction_session_timeout']

/**
 * Joins a URL with the settings that a session must have. Our settings win over those in the URL's `options`. The URL keeps the rest
 * (`application_name`, `ssl...`, other `options`). The settings travel as one startup parameter, `options`, which a pooler may ignore.
 * The promise of a 202 must therefore not depend on them.
 */
export function sessionWith(
  url: string,
  settings: Readonly<Record<string, string | number>>,
): { connectionString: string; options: string } {
  const bare = new URL(url)
  const theirs = bare.searchParams.getAll('options')
  for (const name of OUR_PARAMETERS) bare.searchParams.delete(name)
  const ours = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`)
  // If a name comes twice, the server uses the later value.
  return { connectionString: bare.href, options: [...theirs, ...ours].join(' ') }
}

/** The types of `pg` leave this method out. */
const STARTUP = pg.Client.prototype as unknown as { getStartupConf(): object }

/**
 * A connection that the pool can give up in the middle of a statement. It ends only when the server has released it. A backend that waits
 * for a synchronous standby notices neither a statement timeout nor a closed socket, and would outlive the connection for any time.
 */
export class PostgresConnection extends pg.Client {
  readonly #letGoMs: number
  #onGone: (() => void) | undefined
  #gone: Promise<void> | undefined

  /**
   * @param config.connectionTimeoutMillis also the longest time to wait for the release; a server that takes longer is down or unreachable
   */
  constructor(config: pg.ClientConfig & { connectionTimeoutMillis: number }) {
    super(config)
    this.#letGoMs = config.connectionTimeoutMillis
  }

  /**
   * Says that nobody waits any longer for the statement under way. Its answer is ignored.
   * @param onGone called once, after `end`, when the server has released the connection
   */
  giveUp(onGone: () => void): void {
    this.#onGone ??= onGone
  }

  /**
   * Makes the startup message. Prisma reads times as if every session showed them in UTC and in the ISO style, but the database, its user or the
   * machine may say otherwise. These are startup parameters of their own, because poolers pass them on, unlike `options`.
   */
  getStartupConf(): object {
    return { ...STARTUP.getStartupConf.call(this), TimeZone: 'UTC', DateStyle: 'ISO' }
  }

  override end(): Promise<void>
  override end(onEnd: (error: Error) => void): void
  override end(onEnd?: (error: Error) => void): Promise<void> | void {
    if (!this.#onGone) return onEnd ? super.end(onEnd) : super.end()
    this.#gone ??= this.#cancel()
      .then(() => super.end())
      .then(this.#onGone)
    if (!onEnd) return this.#gone
    void this.#gone.then(onEnd as () => void)
  }

  /** Asks the server to cancel the statement. Resolves when it is cancelled, when the connection has ended, or after `#letGoMs`. */
  async #cancel(): Promise<void> {
    const free = new Promise<void>(resolve => {
      this.once('drain', resolve)
      this.once('end', resolve)
    })
    // The request is not encrypted, as in every libpq before 17. The key is useless to others, because this connection is never used again.
    const socket = this.host.startsWith('/') ? connect(`${this.host}/.s.PGSQL.${this.port}`) : connect(this.port, this.host)
    socket.on('connect', () => socket.write(this.#cancelRequest()))
    socket.on('error', () => undefined) // An unreachable server has closed our connection too, or the deadline ends the wait.
    // The other side closes the socket after it has passed the request on. We wait for that, because PgBouncer 1.18 crashes if we close
    // first.
    const heard = new Promise(resolve => socket.once('close', resolve))
    let deadline: NodeJS.Timeout | undefined
    const late = new Promise(resolve => {
      deadline = setTimeout(resolve, this.#letGoMs)
    })
    await Promise.race([Promise.all([free, heard]), late])
    clearTimeout(deadline)
    socket.destroy()
  }

  #cancelRequest(): Buffer {
    const { processID, secretKey } = this as unknown as { processID: number; secretKey: number }
    const message = Buffer.alloc(16)
    for (const [i, value] of [message.length, CANCEL_REQUEST, processID, secretKey].entries()) message.writeInt32BE(value | 0, i * 4)
    return message
  }
}
