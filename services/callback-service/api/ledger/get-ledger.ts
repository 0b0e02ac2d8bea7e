import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import { queryParameter } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { intervalsOf, isStep, type LedgerFacts, type LedgerSpan, MAX_INTERVALS, wholeIntervals } from '../../domain/ledger/ledger.ts'
import { callerOf } from '../gates/caller-of.ts'
import { workspaceFilter } from '../workspace-links.ts'
import { readSpan, SPAN_PARAMETERS, spanAt } from './ledger-span.ts'
import { intervalView, LEDGER_EXAMPLE, LedgerSchema } from './representation.ts'

export interface LedgerReader {
  /** Reads what the ledger says about a span of whole intervals. */
  readonly read: (workspace: string, span: LedgerSpan) => Promise<LedgerFacts>
  /** The time now by the database's clock, in epoch milliseconds. */
  readonly nowMs: () => number
  /** Time that the ledger remembers. */
  readonly retentionMs: number
}

const DEFAULT_STEP = 60
const WANTED_STEP = 'a number of seconds that divides an hour, or one to 24 whole hours: 60 to 86400'

/** `GET /v1/ledger`: tells, interval by interval, what the service received and what became of it. */
export function getLedger({ read, nowMs, retentionMs }: LedgerReader): Route {
  return route({
    method: 'GET',
    path: '/v1/ledger',
    operationId: 'getLedger',
    summary: 'Tells for each interval what was received then and what became of it',
    access: 'follow',
    limits: 'reads',
    query: Type.Object({
      ...SPAN_PARAMETERS,
      step: Type.Optional(
        Type.Integer({ minimum: 60, maximum: 86_400, default: DEFAULT_STEP, description: 'Length of an interval, in seconds.' }),
      ),
    }),
    answers: { 200: { description: 'The intervals, oldest first.', schema: LedgerSchema, example: LEDGER_EXAMPLE } },
    problems: ['invalid_parameter', 'too_many_reads', 'storage_unavailable'],
    parse: request => ({
      workspace: callerOf(request).workspace.name,
      filter: workspaceFilter(request),
      asked: readSpan(request),
      step: queryParameter(request, 'step', readStep, WANTED_STEP) ?? DEFAULT_STEP,
    }),
    async execute({ workspace, filter, asked, step }) {
      const now = nowMs()
      const span = wholeIntervals({ ...spanAt(now, asked), stepMs: step * 1000 })
      requireFew(span)
      const intervals = intervalsOf(span, await read(workspace, span))
      return jsonAnswer(
        200,
        JSON.stringify({
          kind: 'Ledger',
          id: 'ledger',
          href: hrefOf(span, step, filter),
          step,
          intervals: intervals.map(interval => intervalView(interval, now - retentionMs)),
        }),
      )
    },
  })
}

function readStep(text: string): number | undefined {
  const step = /^\d{2,5}$/.test(text) ? Number(text) : 0
  return isStep(step * 1000) ? step : undefined
}

function requireFew({ fromMs, toMs, stepMs }: LedgerSpan): void {
  if ((toMs - fromMs) / stepMs > MAX_INTERVALS)
    throw new HttpProblem(
      'invalid_parameter',
      `The span has more than ${MAX_INTERVALS} intervals. Ask for a longer "step" or a shorter span.`,
    )
}

function hrefOf({ fromMs, toMs }: LedgerSpan, step: number, filter: ReturnType<typeof workspaceFilter>): string {
  const query = new URLSearchParams({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString(), step: String(step) })
  if (filter.workspace_id !== undefined) query.set('workspace_id', filter.workspace_id)
  return `/v1/ledger?${query}`
}
