import Type from 'typebox'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { queryParameter } from '#foundation/http/query.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { inOrder, TRAFFIC_ORDERS, type Traffic, type TrafficOrder } from '../../domain/traffic/workspace-traffic.ts'
import { callerOf } from '../gates/caller-of.ts'
import { workspaceFilter } from '../workspace-links.ts'
import { MAX_WORKSPACES, TRAFFIC_EXAMPLE, TrafficSchema, trafficBody } from './traffic-representation.ts'

/**
 * Tells the traffic of the last 15 minutes.
 * @param workspace undefined: of all workspaces
 * @throws {StorageUnavailableError} nothing is known, and the database cannot be read
 */
export type ReadTraffic = (workspace: string | undefined) => Promise<Traffic>

const DEFAULT_LIMIT = 100
const NAME_PART = /^[A-Za-z0-9_-]{1,64}$/

/** `GET /v1/traffic`: tells what each workspace received in the last 15 minutes, which are silent, and how near they are to their limits. */
export function getTraffic(read: ReadTraffic): Route {
  return route({
    method: 'GET',
    path: '/v1/traffic',
    operationId: 'getTraffic',
    summary: 'Tells what each workspace received in the last 15 minutes, and how near it is to its limits',
    access: 'read',
    limits: 'reads',
    query: Type.Object({
      sort: Type.Optional(Type.Enum([...TRAFFIC_ORDERS], { default: 'traffic', description: 'The most first. Names: in their order.' })),
      name: Type.Optional(
        Type.String({ pattern: NAME_PART.source, description: 'Only workspaces whose name contains this, in any case.' }),
      ),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_WORKSPACES, default: DEFAULT_LIMIT })),
    }),
    answers: {
      200: {
        description: 'The workspaces that the caller may see. A superuser sees all, unless it names one.',
        schema: TrafficSchema,
        example: TRAFFIC_EXAMPLE,
      },
    },
    problems: ['invalid_parameter', 'too_many_reads', 'storage_unavailable'],
    parse(request) {
      const { role, workspace } = callerOf(request)
      const filter = workspaceFilter(request)
      return {
        workspace: role === 'superuser' ? filter.workspace_id : workspace.name,
        filter,
        sort: queryParameter(request, 'sort', readOrder, `one of ${TRAFFIC_ORDERS.join(', ')}`) ?? 'traffic',
        name: queryParameter(request, 'name', readName, 'a part of the name of a workspace'),
        limit: queryParameter(request, 'limit', readLimit, `an integer from 1 to ${MAX_WORKSPACES}`) ?? DEFAULT_LIMIT,
      }
    },
    async execute({ workspace, filter, sort, name, limit }) {
      const traffic = await read(workspace)
      const matching = traffic.workspaces.filter(
        each => name === undefined || each.workspace.name.toLowerCase().includes(name.toLowerCase()),
      )
      const href = hrefOf({ ...filter, sort, name, limit: String(limit) })
      return jsonAnswer(200, JSON.stringify(trafficBody(traffic, inOrder(matching, sort), { href, limit })))
    },
  })
}

function readOrder(text: string): TrafficOrder | undefined {
  return TRAFFIC_ORDERS.find(order => order === text)
}

function readName(text: string): string | undefined {
  return NAME_PART.test(text) ? text : undefined
}

function readLimit(text: string): number | undefined {
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0
  return limit >= 1 && limit <= MAX_WORKSPACES ? limit : undefined
}

function hrefOf(parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return `/v1/traffic?${new URLSearchParams(given)}`
}
