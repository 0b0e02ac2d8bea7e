import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { KEY_ROLES } from '../../domain/workspaces/caller.ts'
import { callerOf } from '../gates/caller-of.ts'

const HREF = '/page/caller'

/** `GET /page/caller`: tells the live page what its key may do. It reads memory only, so that a page can ask often whether its key still counts. */
export const getPageCaller: Route = route({
  method: 'GET',
  path: HREF,
  operationId: 'getPageCaller',
  summary: 'Tells whose key the live page sends',
  access: 'follow',
  limits: 'none',
  answers: {
    200: {
      description: 'The caller.',
      schema: Type.Object(
        {
          kind: Type.Literal('PageCaller'),
          href: Type.Literal(HREF),
          role: Type.Enum([...KEY_ROLES, 'superuser']),
          workspace: Type.Union([Type.String(), Type.Null()], {
            description: 'The workspace of the key. Null: the caller may choose any.',
          }),
        },
        { additionalProperties: false },
      ),
      example: { kind: 'PageCaller', href: HREF, role: 'read', workspace: 'shop' },
    },
  },
  problems: [],
  parse: callerOf,
  execute({ role, workspace, key }) {
    const body = { kind: 'PageCaller', href: HREF, role, workspace: key ? workspace.name : null }
    return jsonAnswer(200, JSON.stringify(body), { 'Cache-Control': 'no-store' })
  },
})
