import { connect } from 'node:net'
import pg from 'pg'

/** The code of a CancelRequest. https://www.postgresql.org/docs/current/protocol-message-formats.html */
const CANCEL_REQUEST = 80_877_102

/** What we set ourselves: `pg` would let the URL win. */
const OUR_PARAMETERS = ['options', 'statement_timeout', 'query_timeout', 'idle_in_transaction_session_timeout']

/**
 * Joins a URL with the settings that a session must have. Ours win over those in the URL's `options`; the URL keeps the rest
 * (`application_name`, `ssl...`, other `options`). They travel as one startup parameter, `options`, which a pooler may be told to ignore:
 * nothing that a promise rests on may depend on them.
 */
export function sessionWith(
  url: string,
  settings: Readonly<Record<string, string | number>>,
): { connectionString: string; options: string } {
  const bare = new URL(url)
  const theirs = bare.searchParams.getAll('options')
  for (const name of OUR_PARAMETERS) bare.searchParams.delete(name)
  const ours = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`)
  // Of two with the same name the server takes the later one.
  return { connectionString: bare.href, options: [...theirs, ...ours].join(' ') }
}

/**
 * A connection that can be given up in the middle of a statement. It then ends only when the server has let go of it: a backend that waits for a
 * synchronous standby notices neither a statement timeout nor a closed socket, and would outlive the connection without bound.
 */
export class PostgresConnection extends pg.Client {
  readonly #letGoMs: number
  #onGone: (() => void) | undefined
  #gone: Promise<void> | undefined

  /** @param config.connectionTimeoutMillis also how long the server may take to let go: one that takes longer is away, or the connection is dead */
  constructor(config: pg.ClientConfig & { connectionTimeoutMillis: number }) {
    super(config)
    this.#letGoMs = config.connectionTimeoutMillis
  }

  /**
   * Says that nobody waits for the statement under way any more. Whatever becomes of it, its answer counts for nothing.
   * @param onGone called once, after `end`, when the server has let go of the connection
   */
  giveUp(onGone: () => void): void {
    this.#onGone ??= onGone
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

  /** Asks the server to end the statement. Resolves when it has, when the connection is gone, or after `#letGoMs`. */
  async #cancel(): Promise<void> {
    const free = new Promise<void>(resolve => {
      this.once('drain', resolve)
      this.once('end', resolve)
    })
    // In the clear, as every libpq before 17 sends it: the key is of no use to anybody else, this connection is never used again.
    const socket = this.host.startsWith('/') ? connect(`${this.host}/.s.PGSQL.${this.port}`) : connect(this.port, this.host)
    socket.on('connect', () => socket.write(this.#cancelRequest()))
    socket.on('error', () => undefined) // A server that cannot be reached has closed our connection too, or the deadline ends the wait.
    // The other side closes when it has passed the request on. Until then we keep both: PgBouncer 1.18 dies of a sender who hangs up too early.
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
