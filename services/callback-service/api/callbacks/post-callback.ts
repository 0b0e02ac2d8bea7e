import type { IncomingHttpHeaders } from 'node:http'
import { MIMEType } from 'node:util'
import { type Request, type RequestHandler, Router } from 'express'
import { readBody } from '#foundation/http/body.ts'
import { HttpProblem, methodNotAllowed } from '#foundation/http/problems.ts'
import { refusedWith } from '#foundation/http/refused-connections.ts'
import { requestIdOf } from '#foundation/http/request-id.ts'
import { carrierOf, context, inSpan, SpanKind, type TraceCarrier } from '#foundation/telemetry/tracing.ts'
import { parseIdempotencyKey } from '../../domain/accepting/idempotency-key.ts'
import { parseCallback } from '../../domain/accepting/parse-callback.ts'
import type { WrittenId } from '../../domain/object-id.ts'
import { sendJson } from '../json.ts'
import { overloaded, toAcceptProblem } from '../problems.ts'

/** The inbox, as the door needs it. */
export interface Inbox {
  /** Seconds after which there may be room for another callback; 0: there is. */
  readonly waitSeconds: number
  /** Resolves when the callback cannot be lost any more. */
  accept(callback: {
    readonly objectIds: readonly WrittenId[]
    readonly idempotencyKey: string | undefined
    readonly requestId: string | undefined
    readonly trace: TraceCarrier
  }): Promise<{ readonly id: string; readonly receivedAt: Date; readonly isReplay: boolean; readonly durability: 'database' | 'spooled' }>
}

interface Signature {
  problem(body: Buffer, headers: IncomingHttpHeaders): string | undefined
}

export interface CallbackRouteOptions {
  readonly inbox: Inbox
  /** Says why a request is not to be believed; undefined: all senders are. */
  readonly signature?: Signature | undefined
  readonly maxObjectIds: number
  readonly maxBodyBytes: number
  /** Whether the port is closed already: what still comes in is to go elsewhere. */
  readonly isShuttingDown: () => boolean
  /** Called for each request with what came of it: `accepted`, `replayed`, or the code of the problem. */
  readonly onReceived: (outcome: string) => void
}

/** `POST /callback`: 202 when the callback is stored, a problem when it is not. Never waits for the client service. */
export function callbackRoutes(options: CallbackRouteOptions): Router {
  return Router({ caseSensitive: true, strict: true }).post('/callback', acceptCallback(options)).all('/callback', methodNotAllowed('POST'))
}

function acceptCallback({
  inbox,
  signature,
  maxObjectIds,
  maxBodyBytes,
  isShuttingDown,
  onReceived,
}: CallbackRouteOptions): RequestHandler {
  return async (request, response) => {
    try {
      if (isShuttingDown())
        throw new HttpProblem('shutting_down', 'Send it again; another instance will take it.', {
          headers: { 'Retry-After': '1', Connection: 'close' },
        })
      // Before anything is done for it: a refusal is to cost little.
      const { waitSeconds } = inbox
      if (waitSeconds > 0) throw overloaded(waitSeconds)
      requireSingleHeaders(request)
      const signedBody = signature && (await readSignedBody(request, signature, maxBodyBytes))
      requireJson(request)
      // Where callbacks are signed, only what is signed counts.
      const idempotencyKey = parseIdempotencyKey(signature ? undefined : request.get('idempotency-key'), request.get('webhook-id'))
      const body = signedBody ?? (await readBody(request, maxBodyBytes))
      const objectIds = parseCallback(body, maxObjectIds)
      const { id, receivedAt, isReplay, durability } = await inSpan(
        'accept callback',
        { kind: SpanKind.PRODUCER, attributes: { 'answerback.object.count': objectIds.length } },
        async span => {
          const active = context.active()
          const accepted = await inbox.accept({ objectIds, idempotencyKey, requestId: requestIdOf(active), trace: carrierOf(active) })
          span.setAttribute('answerback.callback.id', accepted.id).setAttribute('answerback.callback.durability', accepted.durability)
          return accepted
        },
      )
      const href = `/v1/callbacks/${id}`
      response.setHeader('Location', href)
      if (isReplay) response.setHeader('Idempotency-Replayed', 'true')
      onReceived(isReplay ? 'replayed' : 'accepted')
      // A replay gets the first answer again, whatever has become of the callback since.
      const answer = { kind: 'Callback', id, href, state: 'pending', object_count: objectIds.length, received_at: receivedAt, durability }
      sendJson(response, 202, JSON.stringify(answer))
    } catch (error) {
      const problem = error instanceof HttpProblem ? error : toAcceptProblem(error)
      // What the server has cut off looks like a sender that went away.
      onReceived(refusedWith.get(request.socket) ?? problem?.code ?? 'internal_error')
      throw problem ?? error
    }
  }
}

/** Nothing else is said to a stranger, but that the body cannot be read: it is what is signed. */
async function readSignedBody(request: Request, signature: Signature, maxBytes: number): Promise<Buffer> {
  const body = await readBody(request, maxBytes)
  const forgery = signature.problem(body, request.headers)
  if (forgery === undefined) return body
  throw new HttpProblem('invalid_signature', `${forgery}.`, { headers: { 'WWW-Authenticate': 'StandardWebhooks' } })
}

/** What decides about a callback. Node takes the first of two Content-Types, and of two others makes one. */
const SINGLE_HEADERS: ReadonlySet<string> = new Set([
  'content-type',
  'idempotency-key',
  'webhook-id',
  'webhook-timestamp',
  'webhook-signature',
])

/** Refuses two headers of one name: what stands between us and the sender may have read the other one. */
function requireSingleHeaders({ rawHeaders }: Request): void {
  const seen = new Set<string>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase()
    if (!SINGLE_HEADERS.has(name)) continue
    if (seen.has(name)) throw new HttpProblem('bad_request', `The header ${name} may be sent once.`)
    seen.add(name)
  }
}

/** JSON in UTF-8, by whatever `+json` name. */
function requireJson(request: Request): void {
  const header = request.headers['content-type']
  if (header === 'application/json') return
  if (header !== undefined && isJson(header)) return
  throw new HttpProblem('unsupported_media_type', 'Send application/json in UTF-8.', { headers: { 'Accept-Post': 'application/json' } })
}

function isJson(header: string): boolean {
  let type: MIMEType
  try {
    type = new MIMEType(header)
  } catch {
    return false
  }
  const isJsonType = type.essence === 'application/json' || (type.type === 'application' && type.subtype.endsWith('+json'))
  return isJsonType && (type.params.get('charset') ?? 'utf-8').toLowerCase() === 'utf-8'
}
