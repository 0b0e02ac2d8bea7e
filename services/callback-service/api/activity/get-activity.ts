import type { Request } from 'express'
import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { queryParameter } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { ACTIVITY_EXAMPLE, ActivitySchema, type ActivityView, activityText } from './activity-representation.ts'

/** Where a reader is: the process that it read from, and the number of the last row. */
export interface ActivityCursor {
  readonly process: string
  readonly number: number
}

/** @param after undefined: the reader has no rows */
export type ReadActivity = (after: ActivityCursor | undefined) => Omit<ActivityView, 'cursor'> & { readonly cursor: ActivityCursor }

const CURSOR = /^([0-9a-f]{8})-(\d{1,15})$/

/** `GET /activity`: shows what this process did in the last 15 minutes, and how it is now. It reads memory only. */
export function getActivity(read: ReadActivity): Route {
  return route({
    method: 'GET',
    path: '/activity',
    operationId: 'getActivity',
    summary: 'Shows what this process did in the last 15 minutes, and how it is now',
    access: 'operator',
    limits: 'none',
    query: Type.Object({
      after: Type.Optional(
        Type.String({ pattern: CURSOR.source, description: 'The `cursor` of an earlier answer: gives only later rows.' }),
      ),
    }),
    answers: { 200: { description: 'One row a second, and the present state.', schema: ActivitySchema, example: ACTIVITY_EXAMPLE } },
    problems: ['invalid_parameter'],
    parse: (request: Request) => queryParameter(request, 'after', readCursor, 'the cursor of an earlier answer'),
    execute(after) {
      const { cursor, ...view } = read(after)
      return jsonAnswer(200, activityText({ ...view, cursor: `${cursor.process}-${cursor.number}` }), { 'Cache-Control': 'no-store' })
    },
  })
}

function readCursor(text: string): ActivityCursor | undefined {
  const [, process, number] = CURSOR.exec(text) ?? []
  return process === undefined ? undefined : { process, number: Number(number) }
}
