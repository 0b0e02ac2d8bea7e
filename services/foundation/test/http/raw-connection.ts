import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { until } from '../../../../test/support/eventually.ts'

/** A connection that sends raw bytes and keeps the answers. */
export class RawConnection {
  readonly socket: Socket
  received = ''
  /** `ended`: the server closed the connection cleanly; `reset`: it did not. */
  state: 'open' | 'ended' | 'reset' = 'open'

  private constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.setEncoding('utf8').on('data', chunk => {
      this.received += chunk
    })
    this.socket.on('end', () => {
      this.state = 'ended'
    })
    this.socket.on('error', () => {
      this.state = 'reset'
    })
  }

  static async open(port: number): Promise<RawConnection> {
    const connection = new RawConnection(port)
    await once(connection.socket, 'connect')
    return connection
  }

  send(bytes: string): void {
    this.socket.write(bytes)
  }

  /** Resolves when `count` answers without a body have come. */
  async answers(count: number): Promise<void> {
    await until(() => this.received.split('\r\n\r\n').length > count || this.state !== 'open')
  }

  async closed(): Promise<void> {
    await until(() => this.state !== 'open')
  }
}
