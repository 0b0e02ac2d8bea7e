import { Pool } from 'undici'
import { type Answer, AnswerReader } from '#fetching/client/answer-reader.ts'
import type { Part } from '#foundation/lifecycle/parts.ts'

export interface SwitchClientOptions {
  /** URL of the admin port of the client service. */
  readonly url: string
  /** Maximum time for a whole request, headers and body. */
  readonly timeoutMs: number
}

/**
 * Reads and changes the settings of the client service at its admin port (`/config`), for the live page. It asks one origin, follows no redirect and
 * reads at most 64 KiB, all within `timeoutMs`.
 */
export class SwitchClient implements Part {
  readonly name = 'switch client'
  readonly #pool: Pool
  readonly #path: string
  readonly #timeoutMs: number

  constructor({ url, timeoutMs }: SwitchClientOptions) {
    const { origin, pathname } = new URL(url)
    this.#path = `${pathname.replace(/\/+$/, '')}/config`
    this.#timeoutMs = timeoutMs
    this.#pool = new Pool(origin, { connections: 2, pipelining: 1, allowH2: false })
  }

  async stop(): Promise<void> {
    await this.#pool.destroy()
  }

  /** @returns the answer, whatever its status @throws {Error} there is none, or it breaks a bound */
  read(): Promise<Answer> {
    return this.#ask({ method: 'GET', headers: { accept: 'application/json' } })
  }

  /** @param changes a JSON merge patch of settings @returns the answer, whatever its status @throws {Error} there is none, or it breaks a bound */
  change(changes: object): Promise<Answer> {
    const headers = { accept: 'application/json', 'content-type': 'application/merge-patch+json' }
    return this.#ask({ method: 'PATCH', headers, body: JSON.stringify(changes) })
  }

  #ask(request: { readonly method: 'GET' | 'PATCH'; readonly headers: Record<string, string>; readonly body?: string }): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#pool.dispatch({ ...request, path: this.#path }, new AnswerReader({ timeoutMs: this.#timeoutMs, resolve, reject }))
    })
  }
}
