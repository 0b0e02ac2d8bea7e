import type { ChangedCallback, StreamPosition } from '../../domain/streaming/changed-callback.ts'
import { concerns, isSelected, type StreamFilter } from '../../domain/streaming/stream-filter.ts'
import { listedText } from '../callbacks/representation.ts'
import { writeCursor } from './stream-cursor.ts'

/** Callbacks that listeners get at once. */
export interface StreamBatch {
  readonly callbacks: readonly ChangedCallback[]
  /** `unfinished`: what a new listener begins with. */
  readonly kind: 'unfinished' | 'changes'
  /** Where a listener can go on that has this batch. Undefined: more follows at once. */
  readonly position: StreamPosition | undefined
  /** Whether the listener has everything with this batch, after it had not. */
  readonly isCurrent: boolean
}

/** What listeners have in common that get the same messages. */
export interface StreamView {
  readonly workspace: string
  readonly filter: StreamFilter
  /** What leads to the workspace (`workspaceQuery`). */
  readonly query: string
}

/** Maximum size of a message in bytes. Less than may wait for a client, so that a client that reads gets it whole. */
const MAX_MESSAGE_BYTES = 128 * 1024
const CURRENT = Buffer.from('[]')

const texts = new WeakMap<ChangedCallback, { readonly query: string; readonly text: string }>()
const made = new WeakMap<StreamBatch, Map<string, readonly Buffer[]>>()

/** Writes a batch as messages, once for all listeners with the same view. They share the bytes. */
export function messagesOf(batch: StreamBatch, view: StreamView): readonly Buffer[] {
  const known = made.get(batch) ?? new Map<string, readonly Buffer[]>()
  made.set(batch, known)
  const key = `${view.query} ${view.filter.objectId} ${view.filter.states}`
  const messages = known.get(key) ?? write(batch, view)
  known.set(key, messages)
  return messages
}

/** Writes a message with a cursor alone, for a listener that got no callback for some time. */
export function cursorMessage(workspace: string, position: StreamPosition): Buffer {
  return Buffer.from(JSON.stringify([{ kind: 'Cursor', cursor: writeCursor(workspace, position) }]))
}

function write({ callbacks, kind, position, isCurrent }: StreamBatch, { workspace, filter, query }: StreamView): Buffer[] {
  const isMeant = kind === 'unfinished' ? isSelected : concerns
  const meant = callbacks.filter(callback => isMeant(filter, callback))
  const texts = meant.map((callback, i) => {
    const text = textOf(callback, query)
    const cursor = i === meant.length - 1 && position ? writeCursor(workspace, position) : undefined
    return cursor === undefined ? text : `${text.slice(0, -1)},"cursor":"${cursor}"}`
  })
  const alone = isCurrent && position && texts.length === 0 ? [cursorMessage(workspace, position)] : []
  return [...alone, ...split(texts), ...(isCurrent ? [CURRENT] : [])]
}

/** Writes a callback once for all messages that have it. */
function textOf(callback: ChangedCallback, query: string): string {
  const known = texts.get(callback)
  if (known?.query === query) return known.text
  const text = listedText(callback, query)
  texts.set(callback, { query, text })
  return text
}

function split(texts: readonly string[]): Buffer[] {
  const messages: Buffer[] = []
  let [part, bytes] = [[] as string[], 0]
  for (const text of texts) {
    const size = Buffer.byteLength(text) + 1
    if (bytes + size > MAX_MESSAGE_BYTES && part.length > 0) {
      messages.push(Buffer.from(`[${part.join(',')}]`))
      ;[part, bytes] = [[], 0]
    }
    part.push(text)
    bytes += size
  }
  if (part.length > 0) messages.push(Buffer.from(`[${part.join(',')}]`))
  return messages
}
