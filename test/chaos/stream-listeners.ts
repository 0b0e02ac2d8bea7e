import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { WORKSPACES } from './access.ts'
import type { Heard } from './stream-checker.ts'

const RETRY_MS = 100
/** Time after which a listener gives an attempt to connect up: a stopped replica answers nothing. */
const CONNECT_MS = 2000
/** Time without a message or a ping after which the other side counts as gone. The service pings every 20 s. */
const SILENCE_MS = 25_000

interface Element {
  readonly kind: string
  readonly id: string
  readonly state: string
  readonly cursor?: string
}

/** One listener for each workspace. It goes on from its cursor at the next replica whenever its connection is lost. */
export class StreamListeners {
  readonly heard = new Map<string, Heard>()
  readonly #urls: () => readonly (string | undefined)[]
  readonly #key: string
  readonly #sockets = new Set<WebSocket>()
  #isStopped = false
  #listening: readonly Promise<void>[] = []

  /** @param options.urls the URLs of the replicas now @param options.key a superuser's */
  constructor({ urls, key }: { readonly urls: () => readonly (string | undefined)[]; readonly key: string }) {
    this.#urls = urls
    this.#key = key
  }

  start(): void {
    this.#listening = WORKSPACES.map(workspace => this.#listen(workspace))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    for (const socket of this.#sockets) socket.terminate()
    await Promise.all(this.#listening)
  }

  async #listen(workspace: string): Promise<void> {
    let cursor: string | undefined
    for (let turn = 0; !this.#isStopped; turn += 1) {
      const urls = this.#urls()
      const url = urls[turn % urls.length]
      if (url !== undefined) cursor = await this.#follow(url, workspace, cursor)
      await sleep(RETRY_MS)
    }
  }

  /** Listens until the connection is lost. @returns the last cursor; undefined if the listener must start anew */
  #follow(url: string, workspace: string, from: string | undefined): Promise<string | undefined> {
    const query = new URLSearchParams({ workspace_id: workspace, ...(from !== undefined && { cursor: from }) })
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream?${query}`, {
      headers: { 'x-api-key': this.#key },
      handshakeTimeout: CONNECT_MS,
    })
    this.#sockets.add(socket)
    let cursor = from
    const fresh = new Map<string, string>()
    const silence = setTimeout(() => socket.terminate(), SILENCE_MS)
    socket.on('ping', () => silence.refresh())
    socket.on('message', data => {
      silence.refresh()
      const elements = JSON.parse(String(data)) as readonly Element[]
      const states = from === undefined ? fresh : (this.heard.get(workspace)?.states as Map<string, string>)
      for (const { kind, id, state, cursor: next } of elements) {
        if (kind === 'Callback') states.set(id, state)
        cursor = next ?? cursor
      }
      // Only now does it know where it stands. If it is cut off before, the next one begins anew again.
      if (elements.length === 0 && from === undefined && this.heard.get(workspace)?.states !== fresh)
        this.heard.set(workspace, { sinceMs: Date.now(), states: fresh })
    })
    // A close follows.
    socket.on('error', () => undefined)
    return new Promise(resolve => {
      socket.once('close', code => {
        clearTimeout(silence)
        this.#sockets.delete(socket)
        const isBegun = from !== undefined || this.heard.get(workspace)?.states === fresh
        resolve(code === MUST_START_ANEW || !isBegun ? undefined : cursor)
      })
    })
  }
}

const MUST_START_ANEW = 4410
