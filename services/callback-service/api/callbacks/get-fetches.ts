import { setImmediate as turn } from 'node:timers/promises'
import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { type Route, route } from '#foundation/http/route.ts'
import type { KnownFetches, RecentFetch } from '../../domain/activity/recent-fetches.ts'
import type { CallbackView } from '../../domain/callback.ts'
import type { CallbackKey } from '../../domain/steering/steered.ts'
import { callerOf } from '../gates/caller-of.ts'
import { turnLimit } from '../gates/read-limit.ts'
import { CallbackReference, EXAMPLE_ID, EXAMPLE_TIME, Int64, Time, Uuid } from '../schemas.ts'
import { workspaceQuery } from '../workspace-links.ts'
import { callbackKeyOf, callbackNotFound, KEY_PROBLEMS } from './callback-key.ts'
import type { FindCallback } from './get-callback.ts'
import { hrefOfCallback } from './representation.ts'

export interface FetchesOptions {
  readonly find: FindCallback
  readonly fetches: { of(callbackId: string): KnownFetches | undefined }
  /** Converts a moment of the monotonic clock to the database's clock. */
  readonly databaseAt: (monotonicMs: number) => number
  /** The process that answers. */
  readonly replica: () => { readonly host: string; readonly pid: number; readonly worker: number | undefined }
}

const Milliseconds = (description: string) => Type.Union([Type.Number({ minimum: 0 }), Type.Null()], { description })

const FetchSchema = Type.Object(
  {
    kind: Type.Literal('Object'),
    id: Int64,
    href: Type.String(),
    attempt: Type.Integer({ minimum: 1 }),
    started_at: Time,
    waited_ms: Milliseconds('Time until the request left whose answer counts; null: none has left.'),
    duration_ms: Milliseconds('Time until the object was stored or given up; null: it is under way.'),
    result: Type.Union([Type.String(), Type.Null()], {
      description: '`stored`, `offline`, `not_found`, or why it failed; null: under way.',
    }),
    shared: Type.Boolean({ description: 'Whether the answer came from the fetch of another callback.' }),
  },
  { additionalProperties: false },
)

const EXAMPLE = {
  kind: 'Fetches',
  id: EXAMPLE_ID,
  href: `/v1/callbacks/${EXAMPLE_ID}/fetches`,
  callback: { kind: 'Callback', id: EXAMPLE_ID, href: hrefOfCallback(EXAMPLE_ID) },
  replica: { host: 'replica-1', pid: 4711, worker: 3 },
  is_complete: true,
  fetches: [
    {
      ...{ kind: 'Object', id: 7, href: '/v1/objects/7', attempt: 1, started_at: EXAMPLE_TIME },
      ...{ waited_ms: 0.2, duration_ms: 2304.8, result: 'stored', shared: false },
    },
  ],
}

/** Fetches that are written in one turn of the event loop. All 5,000 of a callback take 10 ms, for which callbacks of senders would wait. */
const TURN = 250

/**
 * `GET /v1/callbacks/:id/fetches`: shows the fetches that this process made recently for a callback. Each replica knows its own, so this route
 * is at the admin port.
 */
export function getFetches({ find, fetches, databaseAt, replica }: FetchesOptions): Route {
  const inTurn = turnLimit(1)
  return route({
    method: 'GET',
    path: '/v1/callbacks/:id/fetches',
    operationId: 'getFetches',
    summary: 'Shows the fetches that this process made recently for a callback',
    access: 'read',
    limits: 'reads',
    params: Type.Object({ id: Uuid }),
    query: Type.Object({}),
    answers: {
      200: {
        description: 'The fetches that this process remembers.',
        schema: Type.Object(
          {
            kind: Type.Literal('Fetches'),
            id: Uuid,
            href: Type.String(),
            callback: CallbackReference,
            replica: Type.Object(
              { host: Type.String(), pid: Type.Integer(), worker: Type.Union([Type.Integer(), Type.Null()]) },
              { additionalProperties: false, description: 'The process that answers.' },
            ),
            is_complete: Type.Boolean({ description: 'Whether these are all fetches of this round, as far as the attempts tell.' }),
            fetches: Type.Array(FetchSchema, { maxItems: 5000 }),
          },
          { additionalProperties: false },
        ),
        example: EXAMPLE,
      },
    },
    problems: KEY_PROBLEMS,
    parse: request => ({ key: callbackKeyOf(request), query: workspaceQuery(callerOf(request)) }),
    async execute({ key, query }: { readonly key: CallbackKey; readonly query: string }) {
      const callback = await find(key.workspace, key.id)
      if (!callback) throw callbackNotFound()
      return inTurn(key.workspace, async () => {
        const known = fetches.of(callback.id)
        const { host, pid, worker = null } = replica()
        const { id } = callback
        const head = {
          kind: 'Fetches',
          id,
          href: `/v1/callbacks/${id}/fetches${query}`,
          callback: { kind: 'Callback', id, href: hrefOfCallback(id, query) },
          replica: { host, pid, worker },
          is_complete: isComplete(callback, known),
        }
        const listed = await textsOf(known?.fetches ?? [], { query, databaseAt })
        return jsonAnswer(200, `${JSON.stringify(head).slice(0, -1)},"fetches":[${listed.join(',')}]}`)
      })
    },
  })
}

/** Attempts have numbers, so a missing one shows. A callback without objects needs no fetch. */
function isComplete({ attempts, objectIds }: CallbackView, known: KnownFetches | undefined): boolean {
  return objectIds.length === 0 || (known?.completeTo ?? 0) >= attempts
}

async function textsOf(fetches: readonly RecentFetch[], context: Parameters<typeof fetchText>[1]): Promise<string[]> {
  const texts: string[] = []
  for (const fetch of fetches) {
    if (texts.length % TURN === TURN - 1) await turn()
    texts.push(fetchText(fetch, context))
  }
  return texts
}

/** Writes the id by hand, because JSON.stringify has no exact integers. */
function fetchText(fetch: RecentFetch, { query, databaseAt }: { readonly query: string } & Pick<FetchesOptions, 'databaseAt'>): string {
  const { id, attempt, startedMs, leftMs, endedMs, result, isShared } = fetch
  const facts = {
    attempt,
    started_at: new Date(databaseAt(startedMs)),
    waited_ms: leftMs === undefined ? null : tenths(Math.max(0, leftMs - startedMs)),
    duration_ms: endedMs === undefined ? null : tenths(endedMs - startedMs),
    result: result ?? null,
    shared: isShared,
  }
  return `{"kind":"Object","id":${id},"href":"/v1/objects/${id}${query}",${JSON.stringify(facts).slice(1)}`
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10
}
