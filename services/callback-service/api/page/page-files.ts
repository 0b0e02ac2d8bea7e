import { createHash } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import type { ReadFile } from './page-files-thread.ts'

/** A file of the live page, ready to send. */
export interface PageFile {
  readonly type: string
  readonly body: Buffer
  /** Changes with the content (RFC 9110, 8.8.3). */
  readonly etag: string
}

interface AllFiles {
  readonly files: ReadonlyMap<string, PageFile>
  readonly version: string
}

/**
 * The files of the live page. The first request makes a thread read all of them, so that they fit together although a deployment may replace
 * them on the disk. Nobody who does not look at the page pays for it.
 */
export class PageFiles {
  #all: Promise<AllFiles> | undefined

  /** @param path relative to web/, such as `views/now.ts` @returns undefined if there is no such file */
  async file(path: string): Promise<PageFile | undefined> {
    return (await this.#load()).files.get(path)
  }

  /** @returns a text that changes when any file of the page does */
  async version(): Promise<string> {
    return (await this.#load()).version
  }

  /** A failure counts for the requests that wait for it. The next one tries again. */
  #load(): Promise<AllFiles> {
    this.#all ??= inThread().then(
      read => allOf(read),
      error => {
        this.#all = undefined
        throw error
      },
    )
    return this.#all
  }
}

/** Removing the types takes 150 ms, the first file alone 60 ms. On the main thread, callbacks would wait for it. */
function inThread(): Promise<readonly ReadFile[]> {
  return new Promise((resolve, reject) => {
    // Node warns on stderr that removing types is experimental. It is what runs this service too.
    const thread = new Worker(new URL('./page-files-thread.ts', import.meta.url), { execArgv: ['--disable-warning=ExperimentalWarning'] })
    thread.once('message', resolve).once('error', reject)
    thread.once('exit', code => reject(new Error(`the thread that reads the page ended with ${code}`)))
  })
}

function allOf(read: readonly ReadFile[]): AllFiles {
  const files = new Map(read.map(({ path, type, body }) => [path, { type, body: Buffer.from(body), etag: `"${digestOf(body)}"` }]))
  const names = [...files].map(([path, { etag }]) => `${path} ${etag}`)
  return { files, version: digestOf(names.toSorted().join('\n')) }
}

function digestOf(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('base64url').slice(0, 22)
}
