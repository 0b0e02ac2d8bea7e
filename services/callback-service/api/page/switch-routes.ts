import { PATCH_PROBLEMS, PATCH_TYPES, readPatch } from '#foundation/admin/config.ts'
import { jsonAnswer } from '#foundation/http/answer.ts'
import { excerpt, HttpProblem } from '#foundation/http/problems.ts'
import { type Route, route } from '#foundation/http/route.ts'
import { type Switches, SwitchesSchema, switchesIn, switchPatch } from './switches.ts'

/** What passes on to the client service. Its answers may have any status. */
export interface SwitchSource {
  read(): Promise<SwitchAnswer>
  /** @param changes a JSON merge patch */
  change(changes: object): Promise<SwitchAnswer>
}

interface SwitchAnswer {
  readonly statusCode: number
  readonly body: string
}

/** The routes of the live page for the switches of the client service: its faults and its latency, and no other of its settings. */
export function switchRoutes(source: SwitchSource): readonly Route[] {
  return [
    route({
      ...SWITCHES,
      method: 'GET',
      operationId: 'getSwitches',
      summary: 'Shows the fault switches of the client service',
      problems: ['switches_unreachable', 'too_many_reads'],
      parse: () => undefined,
      execute: async () => shown(await asked(() => source.read())),
    }),
    route({
      ...SWITCHES,
      method: 'PATCH',
      operationId: 'changeSwitches',
      summary: 'Changes the fault switches of the client service',
      body: { types: PATCH_TYPES, schema: switchPatch, example: { faults: { down: true } } },
      problems: [...PATCH_PROBLEMS, 'invalid_setting', 'unknown_setting', 'switches_unreachable', 'too_many_reads'],
      parse: async request => knownChanges(await readPatch(request)),
      execute: async changes => shown(await asked(() => source.change(changes))),
    }),
  ]
}

const NO_FAULTS = {
  ...{
    errorShare: 0,
    tooManyRequestsShare: 0,
    notFoundShare: 0,
    hangShare: 0,
    dripShare: 0,
    garbageShare: 0,
    wrongIdShare: 0,
    resetShare: 0,
  },
  ...{ objectIds: '', retryAfterSeconds: 1, dripIntervalMs: 500, down: false },
}
const HREF = '/client-service/config'
const EXAMPLE = { kind: 'Switches', id: 'client-service', href: HREF, faults: NO_FAULTS, latency: { minMs: 300, maxMs: 4300 } }

const SWITCHES = {
  path: HREF,
  // The client service has no keys. Who may do everything here may also break it.
  access: 'superuser',
  limits: 'none',
  answers: {
    200: {
      description: 'The switches with their present values.',
      schema: SwitchesSchema,
      example: EXAMPLE,
    },
  },
} as const

async function asked(ask: () => Promise<SwitchAnswer>): Promise<Switches> {
  const { statusCode, body } = await ask().catch(error => {
    if (error instanceof HttpProblem) throw error
    throw unreachable('It does not answer.', error)
  })
  if (statusCode === 422) throw refusal(body)
  const switches = statusCode === 200 ? switchesIn(parsed(body)) : undefined
  if (!switches) throw unreachable(`It answered ${statusCode}${statusCode === 200 ? ', but not with its settings' : ''}.`)
  return switches
}

function shown(switches: Switches) {
  return jsonAnswer(200, JSON.stringify({ kind: 'Switches', id: 'client-service', href: HREF, ...switches }))
}

/** Lets only switches through. The client service itself checks their values. @throws {HttpProblem} unknown_setting */
function knownChanges(changes: unknown): object {
  for (const [name, members] of Object.entries(objectOf(changes))) {
    const known = Object.hasOwn(switchPatch.properties, name) ? switchPatch.properties[name as keyof Switches].properties : undefined
    if (!known) throw unknownSwitch(name)
    const stranger = Object.keys(objectOf(members)).find(member => !Object.hasOwn(known, member))
    if (stranger !== undefined) throw unknownSwitch(`${name}.${stranger}`)
  }
  return changes as object
}

function objectOf(value: unknown): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new HttpProblem('invalid_setting', 'Send a JSON object, as GET of this path shows it.')
}

function unknownSwitch(name: string): HttpProblem {
  return new HttpProblem('unknown_setting', `There is no switch ${JSON.stringify(excerpt(name))}.`)
}

/** Passes on why the client service refused a change. Its words are for the operator who sent the change. */
function refusal(body: string): HttpProblem {
  const { detail } = (parsed(body) ?? {}) as { detail?: unknown }
  return new HttpProblem('invalid_setting', typeof detail === 'string' ? detail.slice(0, 300) : 'The client service refuses the change.')
}

function unreachable(detail: string, cause?: unknown): HttpProblem {
  return new HttpProblem('switches_unreachable', detail, { cause })
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
