import type { IncomingHttpHeaders } from 'node:http'
import type { Request } from 'express'
import type { WrittenId } from '#fetching/object-id.ts'
import { type Answer, jsonAnswer } from '#foundation/http/answer.ts'
import { readBody } from '#foundation/http/body.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import { requestIdOf } from '#foundation/http/request-id.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { carrierOf, context, inSpan, SpanKind, type TraceCarrier } from '#foundation/telemetry/spans.ts'
import { parseIdempotencyKey } from '../../domain/accepting/idempotency-key.ts'
import { parseCallback } from '../../domain/accepting/parse-callback.ts'
import { signedHeadersOf } from '../../domain/accepting/signed-headers.ts'
import type { CallbackView } from '../../domain/callback.ts'
import type { Workspace } from '../../domain/workspaces/workspace.ts'
import { callerOf, readmitCaller } from '../gates/caller-of.ts'
import { overloaded } from '../problems.ts'
import { workspaceQuery } from '../workspace-links.ts'
import { callbackFacts } from './callback-facts.ts'
import { requireJson, requireSingleHeaders } from './callback-headers.ts'
import { callbackText, hrefOfCallback } from './representation.ts'
import { preferredWait, type Waiters, waitFor } from './waiting.ts'

/** The part of the inbox that this route needs. */
export interface Inbox {
  /** Seconds until there may be room for another callback. 0: there is room now. */
  readonly waitSeconds: number
  /** Stores a callback. Resolves when it can no longer be lost. */
  accept(callback: {
    readonly workspace: string
    readonly objectIds: readonly WrittenId[]
    readonly idempotencyKey: string | undefined
    readonly requestId: string | undefined
    readonly trace: TraceCarrier
  }): Promise<{
    readonly id: string
    readonly receivedAt: Date
    readonly isReplay: boolean
    /** Where it is; `none`: wherever it is, it is not kept. */
    readonly durability: 'database' | 'spooled' | 'none'
    /** Undefined if nobody knows what to expect. */
    readonly forecast: { readonly backlog: number; readonly etaMs: number | null } | undefined
  }>
}

export interface Signature {
  problem(body: Buffer, headers: IncomingHttpHeaders): string | undefined
}

export interface PostCallbackOptions {
  readonly inbox: Inbox
  readonly waiters: Waiters
  /** Returns what says why a request has no valid signature. Undefined: the callbacks of the workspace need no signature. */
  readonly signatureOf: (workspace: Workspace) => Signature | undefined
  /** Whether the senders of `default` must sign. */
  readonly isSigned: boolean
  readonly maxObjectIds: number
  readonly maxBodyBytes: number
  /** Once the port is closed, requests on open connections must go to another instance. */
  readonly shutdown: { readonly isClosed: boolean }
  /** Called for each callback that gets 202, with `accepted` or `replayed`, its workspace, and the time that it took. */
  readonly onReceived: (outcome: string, workspace: string, tookMs: number) => void
}

interface ParsedCallback {
  /** When its request came, by the monotonic clock. */
  readonly cameAtMs: number
  readonly workspace: string
  readonly objectIds: readonly WrittenId[]
  readonly idempotencyKey: string | undefined
  /** What leads to the workspace of the callback. */
  readonly query: string
  /** Time that the sender wants to wait for the result. 0: it wants the 202 at once. */
  readonly waitSeconds: number
  /** Whether the sender may still see the callback. Its key may be revoked while it waits. */
  readonly maySee: () => boolean
}

/** What counts for the callbacks of one workspace. */
interface Rules {
  readonly signature: Signature | undefined
  readonly maxObjectIds: number
  readonly maxBodyBytes: number
}

type Accepted = Awaited<ReturnType<Inbox['accept']>>

/**
 * `POST /callback`: answers 202 if the callback is stored, else with a problem. It never waits for the client service, unless the sender wants
 * that. Then it answers 200 if the callback is finished in time.
 */
export function postCallback(options: PostCallbackOptions): Route {
  return route({
    ...callbackFacts(options),
    async parse(request) {
      const cameAtMs = performance.now()
      requireOpen(options)
      requireRoom(options)
      requireSingleHeaders(request)
      const caller = callerOf(request)
      requireUnarchived(caller.workspace)
      const rules = rulesOf(caller.workspace, options)
      const body = await authenticate(request, rules)
      const waitSeconds = preferredWait(request.get('prefer'))
      return {
        ...(await parse(request, body, rules)),
        query: workspaceQuery(caller),
        waitSeconds,
        cameAtMs,
        maySee: () => isReadmitted(request),
      }
    },
    async execute(callback, response) {
      const accepted = await accept(callback, options)
      // Before a wait for the result, which is not part of accepting.
      options.onReceived(accepted.isReplay ? 'replayed' : 'accepted', callback.workspace, performance.now() - callback.cameAtMs)
      const wait = { waitMs: callback.waitSeconds * 1000, mayBeFinished: accepted.isReplay }
      const place = callback.waitSeconds > 0 ? options.waiters.take(accepted.id, wait) : undefined
      if (!place) return answer(callback, accepted)
      const finished = await waitFor(place, response)
      return answerAfterWait(callback, accepted, finished)
    },
  })
}

function requireOpen({ shutdown }: PostCallbackOptions): void {
  if (shutdown.isClosed)
    throw new HttpProblem('shutting_down', 'Send it again. Another instance will take it.', {
      headers: { 'Retry-After': '1', Connection: 'close' },
    })
}

/** Comes before all work on the callback, because a refusal must cost little. */
function requireRoom({ inbox }: PostCallbackOptions): void {
  const { waitSeconds } = inbox
  if (waitSeconds > 0) throw overloaded(waitSeconds)
}

function requireUnarchived({ archivedAt }: Workspace): void {
  if (archivedAt !== null) throw new HttpProblem('workspace_archived', 'This workspace accepts no callbacks any more.')
}

/** The limits of a workspace make those of the service stricter, never looser. */
function rulesOf(workspace: Workspace, { signatureOf, maxObjectIds, maxBodyBytes }: PostCallbackOptions): Rules {
  const { objectIds, bodyBytes } = workspace.limits
  return {
    signature: signatureOf(workspace),
    maxObjectIds: Math.min(maxObjectIds, objectIds ?? maxObjectIds),
    maxBodyBytes: Math.min(maxBodyBytes, bodyBytes ?? maxBodyBytes),
  }
}

/**
 * Checks the signature first, so that an unknown sender learns nothing else. The signature covers the body, so a problem with reading it comes first.
 * @returns the body, or undefined if the workspace needs no signature
 */
async function authenticate(request: Request, { signature, maxBodyBytes }: Rules): Promise<Buffer | undefined> {
  if (!signature) return undefined
  const body = await bodyOf(request, maxBodyBytes)
  const forgery = signature.problem(body, request.headers)
  if (forgery === undefined) return body
  throw new HttpProblem('invalid_signature', `${forgery}.`, { headers: { 'WWW-Authenticate': 'StandardWebhooks' } })
}

/** Reads the body. The workspace may be archived, or the key revoked, before it has come. */
async function bodyOf(request: Request, maxBytes: number): Promise<Buffer> {
  const body = await readBody(request, maxBytes)
  readmitCaller(request)
  requireUnarchived(callerOf(request).workspace)
  return body
}

async function parse(
  request: Request,
  signedBody: Buffer | undefined,
  { signature, maxBodyBytes, maxObjectIds }: Rules,
): Promise<Pick<ParsedCallback, 'workspace' | 'objectIds' | 'idempotencyKey'>> {
  requireJson(request)
  // The signature does not cover Idempotency-Key, so only the signed id counts in signed callbacks.
  const idempotencyKey = parseIdempotencyKey(
    signature ? undefined : request.get('idempotency-key'),
    request.get(signedHeadersOf(request.headers).id),
  )
  const body = signedBody ?? (await bodyOf(request, maxBodyBytes))
  return { workspace: callerOf(request).workspace.name, objectIds: parseCallback(body, maxObjectIds), idempotencyKey }
}

function accept({ workspace, objectIds, idempotencyKey }: ParsedCallback, { inbox }: PostCallbackOptions): Promise<Accepted> {
  const attributes = { 'answerback.object.count': objectIds.length, 'answerback.workspace': workspace }
  return inSpan('accept callback', { kind: SpanKind.PRODUCER, attributes }, async span => {
    const active = context.active()
    const accepted = await inbox.accept({ workspace, objectIds, idempotencyKey, requestId: requestIdOf(active), trace: carrierOf(active) })
    span.setAttribute('answerback.callback.id', accepted.id).setAttribute('answerback.callback.durability', accepted.durability)
    return accepted
  })
}

/** After a wait, the forecast is old. A sender whose key was revoked meanwhile still learns that the callback was accepted before. */
function answerAfterWait(callback: ParsedCallback, accepted: Accepted, finished: CallbackView | undefined): Answer {
  const applied = { 'Preference-Applied': `wait=${callback.waitSeconds}` }
  if (!finished || !callback.maySee()) return answer(callback, { ...accepted, forecast: undefined }, applied)
  return jsonAnswer(200, callbackText(finished, callback.query), { ...headersOf(callback, accepted), ...applied })
}

/** Makes the 202. A replay gets the first answer again, whatever the state of the callback is now, but no forecast. */
function answer(callback: ParsedCallback, accepted: Accepted, applied?: Readonly<Record<string, string>>): Answer {
  const { objectIds, query } = callback
  const { id, receivedAt, durability, forecast } = accepted
  const body = {
    kind: 'Callback',
    id,
    href: hrefOfCallback(id, query),
    state: 'pending',
    object_count: objectIds.length,
    received_at: receivedAt,
    durability,
    backlog: forecast?.backlog ?? null,
    eta_ms: forecast?.etaMs ?? null,
  }
  const headers = headersOf(callback, accepted)
  return jsonAnswer(202, JSON.stringify(body), applied ? { ...headers, ...applied } : headers)
}

function headersOf({ query }: ParsedCallback, { id, isReplay }: Accepted): Record<string, string> {
  const href = hrefOfCallback(id, query)
  return isReplay ? { Location: href, 'Idempotency-Replayed': 'true' } : { Location: href }
}

function isReadmitted(request: Request): boolean {
  try {
    readmitCaller(request)
    return true
  } catch (error) {
    if (error instanceof HttpProblem) return false
    throw error
  }
}
