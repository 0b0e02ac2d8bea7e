import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'

/** A file of the live page, ready to send. */
export interface PageFile {
  readonly type: string
  readonly body: Buffer
  /** Changes with the content (RFC 9110, 8.8.3). */
  readonly etag: string
}

const WEB = new URL('../../web/', import.meta.url)
const TYPES: Readonly<Record<string, string>> = { css: 'text/css', html: 'text/html', js: 'text/javascript', ts: 'text/javascript' }
const OWN_FILE = /^([a-z]+\/)?[a-z][a-z-]*\.(css|html|ts)$/

/** The libraries of the page, by the name of their file in the browser. The import map in index.html names the same files. */
const LIBRARIES: Readonly<Record<string, () => string>> = {
  'lib/preact.js': () => import.meta.resolve('preact'),
  'lib/hooks.js': () => import.meta.resolve('preact/hooks'),
  'lib/htm.js': () => import.meta.resolve('htm'),
  'lib/htm-preact.js': () => import.meta.resolve('htm/preact'),
  // Node would take the one in CommonJS, which browsers cannot read.
  'lib/uplot.js': () => new URL('uPlot.esm.js', import.meta.resolve('uplot')).href,
  'lib/uplot.css': () => new URL('uPlot.min.css', import.meta.resolve('uplot')).href,
}

/** Reads the files of the live page at their first request and keeps them. It removes the types of TypeScript files: there is no build. */
export class PageFiles {
  readonly #files = new Map<string, Promise<PageFile | undefined>>()

  /** @param path relative to web/, such as `views/now.ts` @returns undefined if there is no such file */
  file(path: string): Promise<PageFile | undefined> {
    const known = this.#files.get(path)
    if (known) return known
    const url = urlOf(path)
    if (!url) return Promise.resolve(undefined)
    const file = read(url, path.slice(path.lastIndexOf('.') + 1))
    this.#files.set(path, file)
    // A file that could not be read, or does not exist, takes no memory.
    file.then(
      found => found ?? this.#files.delete(path),
      () => this.#files.delete(path),
    )
    return file
  }
}

function urlOf(path: string): URL | undefined {
  const library = LIBRARIES[path]
  if (library) return new URL(library())
  return OWN_FILE.test(path) ? new URL(path, WEB) : undefined
}

async function read(url: URL, extension: string): Promise<PageFile | undefined> {
  const source = await readFile(url).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (!source) return undefined
  const body = extension === 'ts' ? Buffer.from(quietly(() => stripTypeScriptTypes(source.toString()))) : source
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
  return { type: TYPES[extension] as string, body, etag }
}

/** Node warns on stderr that stripping is experimental. It is what runs this service too. */
function quietly<T>(strip: () => T): T {
  const { emitWarning } = process
  process.emitWarning = () => undefined
  try {
    return strip()
  } finally {
    process.emitWarning = emitWarning
  }
}
