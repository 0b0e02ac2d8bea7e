import { globSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { fileURLToPath } from 'node:url'
import { parentPort } from 'node:worker_threads'

/** A file as the thread hands it over. */
export interface ReadFile {
  /** Its path in the browser, below /page/. */
  readonly path: string
  readonly type: string
  readonly body: Uint8Array
}

const WEB = new URL('../../web/', import.meta.url)
const TYPES: Readonly<Record<string, string>> = { css: 'text/css', html: 'text/html', js: 'text/javascript', ts: 'text/javascript' }

/** The libraries of the page, by their paths in the browser. The import map in index.html names the same paths. */
const LIBRARIES: Readonly<Record<string, string>> = {
  'lib/preact.js': import.meta.resolve('preact'),
  'lib/hooks.js': import.meta.resolve('preact/hooks'),
  'lib/htm.js': import.meta.resolve('htm'),
  'lib/htm-preact.js': import.meta.resolve('htm/preact'),
  // Node would take the one in CommonJS, which browsers cannot read.
  'lib/uplot.js': new URL('uPlot.esm.js', import.meta.resolve('uplot')).href,
  'lib/uplot.css': new URL('uPlot.min.css', import.meta.resolve('uplot')).href,
}

/** Reads all files of the live page and removes the types of TypeScript files: there is no build. */
const own = globSync('{*,*/*}.{css,html,ts}', { cwd: fileURLToPath(WEB) })
parentPort?.postMessage([
  ...own.map(path => readFile(path, new URL(path, WEB))),
  ...Object.entries(LIBRARIES).map(([path, href]) => readFile(path, new URL(href))),
])

function readFile(path: string, url: URL): ReadFile {
  const extension = path.slice(path.lastIndexOf('.') + 1)
  const source = readFileSync(url)
  const body = extension === 'ts' ? Buffer.from(stripTypeScriptTypes(source.toString())) : source
  return { path, type: TYPES[extension] as string, body }
}
