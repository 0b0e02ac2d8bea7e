import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

const PREFIX_WIDTH = 8
const PREFIX_STYLES: Readonly<Record<string, Style>> = { callback: 'cyan', client: 'magenta', run: 'green' }
const LEVEL_STYLES: Readonly<Record<string, Style>> = { warn: 'yellow', error: 'red', fatal: 'red' }
/** Fields that are already in the line, or are useful to machines only. */
const HIDDEN = new Set(['level', 'time', 'service', 'msg', 'err', 'span_id', 'request_id', 'trace_id'])

/**
 * Shows the logs of several processes as one: pino's JSON lines, made readable, each with the name of its process.
 * Uses colours if `out` is a terminal and NO_COLOR is not set. Shows a line that is not JSON as it is.
 */
export class LogView {
  readonly #out: Writable

  constructor(out: Writable) {
    this.#out = out
  }

  /** Shows every line of a stream until the stream ends. */
  follow(prefix: string, stream: Readable): void {
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', line => {
      this.#out.write(`${renderLine(prefix, line, this.#paint)}\n`)
    })
  }

  /** Shows a line of our own. */
  say(text: string): void {
    const line = JSON.stringify({ level: 'info', time: new Date().toISOString(), msg: text })
    this.#out.write(`${renderLine('run', line, this.#paint)}\n`)
  }

  /** Shows text for a person, without time and prefix. */
  print(text: string): void {
    this.#out.write(`${text}\n`)
  }

  readonly #paint = (style: Style, text: string): string => styleText(style, text, { stream: this.#out })
}

/**
 * Formats a log line for a person: local time, prefix, level, message, fields, trace id, with the stack of an error below.
 * @param paint colours a text, or returns it unchanged
 */
export function renderLine(prefix: string, line: string, paint: (style: Style, text: string) => string): string {
  const painted = paint(PREFIX_STYLES[prefix] ?? 'blue', `${prefix.padEnd(PREFIX_WIDTH)} │`)
  const entry = parse(line)
  if (!entry) return `${' '.repeat(12)} ${painted} ${line}`

  const level = String(entry['level'])
  const shown = Object.entries(entry).filter(([key]) => !HIDDEN.has(key))
  const error = entry['err'] as { message?: unknown; stack?: unknown } | undefined
  if (error) shown.push(['err', error.message])
  if (entry['trace_id']) shown.push(['trace', entry['trace_id']])
  const head = [
    paint('dim', localTime(String(entry['time']))),
    painted,
    paint(LEVEL_STYLES[level] ?? 'reset', level.toUpperCase().padEnd(5)),
    String(entry['msg']),
    ...shown.map(([key, value]) => paint('dim', `${key}=${renderValue(value)}`)),
  ].join(' ')
  const isGrave = level === 'error' || level === 'fatal'
  return isGrave && typeof error?.stack === 'string' ? `${head}\n${indent(error.stack)}` : head
}

function parse(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const entry = JSON.parse(line) as Record<string, unknown>
    return 'level' in entry && 'msg' in entry ? entry : undefined
  } catch {
    // A kill -9 can cut a line short: show it as it is.
    return undefined
  }
}

function localTime(time: string): string {
  const date = new Date(time)
  const two = (n: number): string => String(n).padStart(2, '0')
  const ms = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`
}

function renderValue(value: unknown): string {
  return typeof value === 'string' && /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value)
}

function indent(text: string): string {
  return text.replace(/^/gm, ' '.repeat(4))
}
