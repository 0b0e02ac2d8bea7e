import Type from 'typebox'
import { type ObjectId, parseObjectId } from '#fetching/object-id.ts'
import { CLOSE_CODES } from '#foundation/http/paced-socket.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import { queryParameter } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import type { WebSockets } from '#foundation/http/web-sockets.ts'
import { requireOrigin, requireWebSocket } from '#foundation/http/websocket.ts'
import { CALLBACK_STATES, type CallbackState } from '../../domain/callback.ts'
import type { StreamPosition } from '../../domain/streaming/changed-callback.ts'
import { callerOf, readmitCaller } from '../gates/caller-of.ts'
import { Int64Text } from '../schemas.ts'
import { workspaceQuery } from '../workspace-links.ts'
import { readCursor } from './stream-cursor.ts'
import { cursorMessage, messagesOf, type StreamBatch } from './stream-messages.ts'

export interface StreamOptions {
  readonly sockets: Pick<WebSockets, 'requireRoom' | 'open'>
  /** Begins to deliver the changes of a workspace. @returns a function that ends it */
  readonly listen: (listener: {
    readonly workspace: string
    readonly objectId: ObjectId | undefined
    readonly from: StreamPosition | undefined
    readonly deliver: (batch: StreamBatch) => void
    readonly startOver: (reason: string) => void
  }) => () => void
  /** Whether a workspace still exists. */
  readonly hasWorkspace: (name: string) => boolean
  /** Origins whose pages may listen, besides our own, separated by spaces. */
  readonly origins: string
}

/** Time without a message after which a listener gets a cursor alone. */
const QUIET_MS = 20_000
const STATE = `(${CALLBACK_STATES.join('|')})`
const STATES = `^${STATE}(,${STATE})*$`

/** `GET /v1/stream`: a WebSocket that says which callbacks of the workspace are unfinished, and then which change. */
export function getStream({ sockets, listen, hasWorkspace, origins }: StreamOptions): Route {
  const allowed = new Set(origins.split(/\s+/).filter(Boolean))
  return route({
    method: 'GET',
    path: '/v1/stream',
    operationId: 'streamCallbacks',
    summary: 'Opens a WebSocket that says which callbacks change',
    access: 'read',
    limits: 'reads',
    query: Type.Object({
      state: Type.Optional(
        Type.String({ pattern: STATES, description: 'One or more states, separated by commas.', examples: ['failed,cancelled'] }),
      ),
      object_id: Type.Optional(Int64Text),
      cursor: Type.Optional(
        Type.String({ pattern: '^[A-Za-z0-9_-]+$', description: 'The last cursor that came. The stream goes on from there.' }),
      ),
    }),
    answers: { 101: { description: 'The WebSocket is open. Each message is a JSON array of callbacks, as in a list.' } },
    problems: ['invalid_parameter', 'upgrade_required', 'origin_not_allowed', 'too_many_streams', 'shutting_down', 'storage_unavailable'],
    parse(request) {
      const caller = callerOf(request)
      const { name } = caller.workspace
      const states = queryParameter(request, 'state', readStates, `one or more of ${CALLBACK_STATES.join(', ')}, separated by commas`)
      const objectId = queryParameter(request, 'object_id', parseObjectId, 'the id of an object')
      const from = queryParameter(request, 'cursor', text => readCursor(name, text), 'a cursor of a stream of this workspace')
      requireWebSocket(request)
      requireOrigin(request, allowed)
      const isAdmitted = (): boolean => {
        try {
          readmitCaller(request)
          return hasWorkspace(name)
        } catch (error) {
          if (error instanceof HttpProblem) return false
          throw error
        }
      }
      return { view: { workspace: name, filter: { states, objectId }, query: workspaceQuery(caller) }, from, isAdmitted }
    },
    execute({ view, from, isAdmitted }, response) {
      sockets.requireRoom()
      const { workspace, filter } = view
      let stop: () => void = () => undefined
      const socket = sockets.open(response, { isAdmitted, onClosed: () => stop() })
      if (!socket) return undefined
      let sentAtMs = performance.now()
      stop = listen({
        workspace,
        objectId: filter.objectId,
        from,
        deliver(batch) {
          const messages = messagesOf(batch, view)
          const isQuiet = messages.length === 0 && batch.position && performance.now() - sentAtMs > QUIET_MS
          const due = isQuiet ? [cursorMessage(workspace, batch.position as StreamPosition)] : messages
          if (due.length > 0) sentAtMs = performance.now()
          for (const message of due) socket.send(message)
        },
        startOver: reason => socket.close(CLOSE_CODES.startOver, reason),
      })
      return undefined
    },
  })
}

/** In one order and each once, so that all listeners who want the same share their messages. */
function readStates(text: string): readonly CallbackState[] | undefined {
  const names = text.split(',')
  const states = CALLBACK_STATES.filter(state => names.includes(state))
  return names.every(name => CALLBACK_STATES.some(state => state === name)) ? states : undefined
}
