import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import {
  linkHeader,
  listSchema,
  listText,
  PAGE_HEADERS,
  PAGE_PARAMETERS,
  type PageRequest,
  type Paging,
  pageOf,
  readPageRequest,
} from '#foundation/http/paging.ts'
import { type Route, route } from '#foundation/http/route.ts'
import type { CallbackPosition } from '../../domain/callback.ts'
import type { KeysSpan, LedgerKeys } from '../../domain/ledger/ledger-key.ts'
import { callerOf } from '../gates/caller-of.ts'
import { UUID } from '../schemas.ts'
import { workspaceFilter, workspaceQuery } from '../workspace-links.ts'
import { readSpan, SPAN_PARAMETERS, spanAt } from './ledger-span.ts'
import { keyText, LEDGER_KEY_EXAMPLE, LedgerKeySchema } from './representation.ts'

export interface LedgerKeysReader {
  /** Reads a page of keys, oldest first. @param page.limit one more than the page shows, to find out whether there are more */
  readonly list: (span: KeysSpan, page: PageRequest<CallbackPosition>) => Promise<LedgerKeys>
  /** The time now by the database's clock, in epoch milliseconds. */
  readonly nowMs: () => number
  /** Time that the ledger remembers. */
  readonly retentionMs: number
}

const COMPLETE = Type.Boolean({ description: 'False if the service has deleted callbacks of these hours, and their keys with them.' })

/** `GET /v1/ledger/keys`: lists the idempotency keys of the callbacks that the service received in a span of time. */
export function listLedgerKeys({ list, nowMs, retentionMs }: LedgerKeysReader): Route {
  const page = listSchema('LedgerKeyList', 'ledger-keys', LedgerKeySchema)
  return route({
    method: 'GET',
    path: '/v1/ledger/keys',
    operationId: 'listLedgerKeys',
    summary: 'Lists the idempotency keys received in a span of time, oldest first',
    access: 'follow',
    limits: 'reads',
    query: Type.Object({ ...SPAN_PARAMETERS, ...PAGE_PARAMETERS }),
    answers: {
      200: {
        description: 'A page of keys.',
        schema: Type.Object({ ...page.properties, complete: COMPLETE }, { additionalProperties: false }),
        headers: PAGE_HEADERS,
        example: {
          kind: 'LedgerKeyList',
          id: 'ledger-keys',
          href: '/v1/ledger/keys?limit=100',
          size: 1,
          items: [LEDGER_KEY_EXAMPLE],
          complete: true,
        },
      },
    },
    problems: ['invalid_parameter', 'too_many_reads', 'storage_unavailable'],
    parse(request) {
      const caller = callerOf(request)
      const paging = pagingOf(caller.workspace.name)
      return {
        workspace: caller.workspace.name,
        paging,
        asked: readSpan(request),
        page: readPageRequest(request, paging),
        filter: workspaceFilter(request),
        query: workspaceQuery(caller),
      }
    },
    async execute({ workspace, paging, asked, page: wanted, filter, query }) {
      const now = nowMs()
      const { fromMs, toMs } = spanAt(now, asked)
      const { keys, isComplete } = await list({ workspace, fromMs, toMs }, { ...wanted, limit: wanted.limit + 1 })
      // The links name the span, because its default moves with time.
      const filters = { ...filter, from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }
      const found = pageOf({ paging, asked: wanted, filters, found: keys, keyOf: ({ position }) => position })
      const text = listText(
        'LedgerKeyList',
        'ledger-keys',
        found,
        found.items.map(key => keyText(key, query)),
      )
      // What the ledger has forgotten, it cannot miss.
      const complete = isComplete && fromMs >= now - retentionMs
      return jsonAnswer(200, `${text.slice(0, -1)},"complete":${complete}}`, linkHeader(found))
    },
  })
}

/** A cursor is valid in its workspace only. */
function pagingOf(workspace: string): Paging<CallbackPosition> {
  return {
    list: `ledger keys of ${workspace}`,
    path: '/v1/ledger/keys',
    write: ({ receivedUs, id }) => `${receivedUs} ${id}`,
    read(text) {
      const [, receivedUs, id = ''] = /^(-?\d{1,17}) (\S+)$/.exec(text) ?? []
      return receivedUs !== undefined && UUID.test(id) ? { receivedUs, id } : undefined
    },
  }
}
