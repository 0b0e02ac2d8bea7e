import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { until } from '../../test/support/eventually.ts'
import type { ServiceProcess } from '../../test/support/service-process.ts'

export interface HeardChange {
  /** Time from the end of the callback until a listener heard of it. Undefined if it has not ended. */
  readonly delayMs: number | undefined
}

interface Parsed {
  readonly isEmpty: boolean
  readonly callbacks: readonly { readonly id: string; readonly finishedMs: number | undefined }[]
}

const MAX_PARSED = 100

/** Many listeners of the default workspace, in turn on several replicas. Equal messages are parsed once: that is not what is measured. */
export class Listeners {
  onChange: (change: HeardChange) => void = () => undefined
  readonly #clients = new Map<WebSocket, { isCurrent: boolean; readonly finished: Set<string> }>()
  readonly #parsed = new Map<string, Parsed>()

  /** Resolves when all are current. */
  async open(replicas: readonly ServiceProcess[], count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      const { url } = replicas[i % replicas.length] as ServiceProcess
      const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream`)
      const client = { isCurrent: false, finished: new Set<string>() }
      this.#clients.set(socket, client)
      socket.on('error', () => undefined) // A listener that is gone is never current, and has not heard everything.
      socket.on('message', data => {
        const nowMs = Date.now()
        const { isEmpty, callbacks } = this.#parse(String(data))
        if (isEmpty) client.isCurrent = true
        for (const { id, finishedMs } of callbacks) {
          if (finishedMs !== undefined) client.finished.add(id)
          this.onChange({ delayMs: finishedMs === undefined ? undefined : nowMs - finishedMs })
        }
      })
    }
    await until(() => [...this.#clients.values()].every(({ isCurrent }) => isCurrent), 30_000, 'every listener is current')
  }

  /** Whether each has heard the end of each of these callbacks. */
  haveHeard(ids: readonly string[]): boolean {
    return this.#clients.values().every(({ finished }) => ids.every(id => finished.has(id)))
  }

  close(): void {
    for (const socket of this.#clients.keys()) socket.terminate()
    this.#clients.clear()
    this.#parsed.clear()
  }

  #parse(text: string): Parsed {
    const known = this.#parsed.get(text)
    if (known) return known
    const elements = JSON.parse(text) as readonly { kind: string; id: string; finished_at?: string }[]
    const callbacks = elements
      .filter(({ kind }) => kind === 'Callback')
      .map(({ id, finished_at }) => ({ id, finishedMs: finished_at === undefined ? undefined : Date.parse(finished_at) }))
    const parsed = { isEmpty: elements.length === 0, callbacks }
    if (this.#parsed.size === MAX_PARSED) this.#parsed.clear()
    this.#parsed.set(text, parsed)
    return parsed
  }
}

/** Many listeners that read everything and look at nothing, so that reading costs the machine as little as it can. */
export class IdleListeners {
  readonly #sockets: Duplex[] = []

  /** Resolves when each has got its first message. */
  async open(replicas: readonly Pick<ServiceProcess, 'url'>[], count: number): Promise<void> {
    const opened = Array.from({ length: count }, async (_, i) => {
      const { url } = replicas[i % replicas.length] as Pick<ServiceProcess, 'url'>
      const headers = {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
      }
      const [, socket, head] = (await once(request(`${url}/v1/stream`, { headers }).end(), 'upgrade')) as [unknown, Duplex, Buffer]
      this.#sockets.push(socket)
      socket.on('error', () => undefined) // The service may end a connection while the listeners close.
      if (head.length === 0) await once(socket, 'data')
      socket.resume()
    })
    await Promise.all(opened)
  }

  close(): void {
    for (const socket of this.#sockets.splice(0)) socket.destroy()
  }
}
