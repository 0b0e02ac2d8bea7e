import Type from 'typebox'
import type { Access } from '#foundation/http/access.ts'
import { type Route, route } from '#foundation/http/route.ts'

/** Stands for operations of an access that no operation of the service has. */
export function standIn(access: Access): Route {
  return route({
    method: 'GET',
    path: `/v1/stand-in/${access}`,
    operationId: `standIn${access}`,
    summary: 'Does nothing',
    access,
    limits: 'none',
    query: Type.Object({}),
    answers: {},
    problems: [],
    parse: () => undefined,
    execute: () => ({ status: 204, body: '' }),
  })
}
