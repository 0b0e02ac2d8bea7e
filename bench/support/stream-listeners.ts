import { until } from '../../test/support/eventually.ts'
import type { ServiceProcess } from '../../test/support/service-process.ts'
import { StreamClient } from '../../test/support/stream-client.ts'

export interface HeardChange {
  /** Time from the end of the callback until a listener heard of it. Undefined if it has not ended. */
  readonly delayMs: number | undefined
}

/** Many listeners of the default workspace, in turn on several replicas. */
export class Listeners {
  onChange: (change: HeardChange) => void = () => undefined
  #clients: readonly StreamClient[] = []

  /** Resolves when all are current. */
  async open(replicas: readonly ServiceProcess[], count: number): Promise<void> {
    this.#clients = Array.from({ length: count }, (_, i) => new StreamClient((replicas[i % replicas.length] as ServiceProcess).url))
    for (const { socket } of this.#clients) socket.on('message', data => this.#note(String(data)))
    await until(() => this.#clients.every(({ isCurrent }) => isCurrent), 30_000, 'every listener is current')
  }

  /** Whether each has heard that each of these callbacks is completed. */
  haveHeard(ids: readonly string[]): boolean {
    return this.#clients.every(({ states }) => ids.every(id => states.get(id) === 'completed'))
  }

  close(): void {
    for (const client of this.#clients) client.close()
    this.#clients = []
  }

  #note(text: string): void {
    const nowMs = Date.now()
    for (const { kind, finished_at } of JSON.parse(text) as { kind: string; finished_at?: string }[]) {
      if (kind === 'Callback') this.onChange({ delayMs: finished_at === undefined ? undefined : nowMs - Date.parse(finished_at) })
    }
  }
}
