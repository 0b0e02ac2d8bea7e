import type { FetchMinute } from './activity-log.ts'
import { type AgentFacts, agentsLight } from './agents-light.ts'
import { callbacks, duration, number, sentence } from './light-texts.ts'

/** A sentence or three about one thing that the service needs. `unknown`: it is not in use, or nothing was seen of it yet. */
export interface Light {
  readonly name: 'postgres' | 'client_service' | 'agents' | 'processing' | 'spool' | 'zipkin' | 'process'
  readonly state: 'ok' | 'warn' | 'bad' | 'unknown'
  readonly text: string
}

/** A client service that is not well, as a workspace sees it. */
export interface ClientServiceTrouble {
  readonly workspace: string
  readonly state: 'open' | 'half_open' | 'paused'
  /** Time until the next request may leave; 0: now. */
  readonly waitMs: number
}

export interface LightFacts {
  /** Why callbacks cannot be stored. */
  readonly storageProblem: string | undefined
  /** Why callbacks can be lost although Postgres takes them. */
  readonly weakness: string | undefined
  /** Undefined if there is none. `problem`: why it takes no callbacks. */
  readonly spool: { readonly callbacks: number; readonly setAside: number; readonly problem: string | undefined } | undefined
  /** Why this process has no worker session. */
  readonly sessionProblem: string | undefined
  readonly replicas: number
  readonly agents: AgentFacts
  readonly standstill: { readonly waiting: number; readonly ms: number } | undefined
  readonly callbacksRunning: number
  readonly defaultWorkspace: string
  /** The client services that are not well. */
  readonly troubles: readonly ClientServiceTrouble[]
  readonly fetches: FetchMinute
  readonly fetchTimeoutMs: number
  /** Undefined: no spans are sent. */
  readonly tracing: { readonly problem: string | undefined; readonly dropped: number; readonly hasSent: boolean } | undefined
  readonly isShuttingDown: boolean
}

/** More failures than this share of all requests are worth a warning. */
const FAILED_SHARE = 0.05
/** Requests that take longer than this share of their timeout, on average, are worth a warning. */
const SLOW_SHARE = 0.7

/** Says in plain sentences how the things are that the service needs, and what an operator can do. */
export function lightsOf(facts: LightFacts): readonly Light[] {
  return [postgres(facts), clientService(facts), ...agents(facts), processing(facts), spool(facts), zipkin(facts), ownProcess(facts)]
}

function postgres({ storageProblem, weakness, spool, sessionProblem }: LightFacts): Light {
  const light = lightNamed('postgres')
  if (storageProblem !== undefined) {
    const isKept = spool && spool.problem === undefined
    const then = isKept ? 'The spool keeps callbacks meanwhile.' : 'Senders get 503 until it is back.'
    return light('bad', `Postgres takes no callbacks: ${sentence(storageProblem)} ${then}`)
  }
  if (sessionProblem !== undefined)
    return light('warn', `Postgres takes callbacks. Its worker session is missing: ${sentence(sessionProblem)}`)
  if (weakness !== undefined) return light('warn', `Postgres takes callbacks, but can lose them: ${sentence(weakness)}`)
  return light('ok', 'Postgres takes callbacks.')
}

function clientService({ defaultWorkspace, troubles, fetches, fetchTimeoutMs }: LightFacts): Light {
  const light = lightNamed('client_service')
  const own = troubles.find(({ workspace }) => workspace === defaultWorkspace)
  const others = troubles.length - (own ? 1 : 0)
  const also = others > 0 ? ` ${clientServices(others)} not well either.` : ''
  if (own?.state === 'paused') {
    return light('warn', `The client service asked for a pause. Requests go on in ${duration(own.waitMs)}.${also}`)
  }
  if (own) {
    const next = own.waitMs > 0 ? `The next try is in ${duration(own.waitMs)}.` : 'The next callback tries it.'
    return light('bad', `The client service does not answer. Callbacks wait. ${next}${also}`)
  }
  if (others > 0) return light('warn', `${clientServices(others)} not well. That of ${defaultWorkspace} is.`)
  const { answered, failed, meanMs } = fetches
  if (meanMs === undefined) return light('unknown', 'No request ended within the last minute.')
  const of = `${number(failed)} of ${number(answered + failed)} requests failed within the last minute.`
  if (failed > FAILED_SHARE * (answered + failed)) return light('warn', of)
  if (meanMs > SLOW_SHARE * fetchTimeoutMs) {
    return light('warn', `Answers are slow: ${duration(meanMs)} on average, and the timeout is ${duration(fetchTimeoutMs)}. ${of}`)
  }
  return light('ok', `${of} An answer takes ${duration(meanMs)} on average.`)
}

function agents({ agents: facts }: LightFacts): readonly Light[] {
  const light = agentsLight(facts)
  return light ? [{ name: 'agents', ...light }] : []
}

function processing({ storageProblem, sessionProblem, standstill, replicas, callbacksRunning }: LightFacts): Light {
  const light = lightNamed('processing')
  const noSession = sessionProblem === undefined ? '' : ' This process has no worker session, so it works on none.'
  if (standstill) {
    const { waiting, ms } = standstill
    return light('bad', `${callbacks(waiting)} waiting, but none has run for ${duration(ms)}.${noSession} Look at the log for the reason.`)
  }
  if (sessionProblem !== undefined) {
    // Without Postgres, nobody knows how the other replicas are.
    const goOn = storageProblem === undefined && replicas > 1
    return light(
      'warn',
      `This process has no worker session, so it works on no callback. ${goOn ? 'Other replicas go on.' : 'Callbacks wait until it has one.'}`,
    )
  }
  return light(
    'ok',
    callbacksRunning > 0 ? `${callbacks(callbacksRunning)} running at this process.` : 'No callback is running at this process.',
  )
}

function spool({ spool: own }: LightFacts): Light {
  const light = lightNamed('spool')
  if (!own) return light('unknown', 'There is no spool. While Postgres is away, senders get 503.')
  if (own.setAside > 0) {
    return light(
      'bad',
      `Postgres refused ${number(own.setAside)} of the callbacks in the spool. Look at /set-aside, and put them back or drop them.`,
    )
  }
  if (own.problem !== undefined) return light('bad', `The spool takes no callbacks: ${sentence(own.problem)}`)
  if (own.callbacks > 0) return light('warn', `${callbacks(own.callbacks)} waiting in the spool until Postgres takes them.`)
  return light('ok', 'The spool is empty.')
}

function zipkin({ tracing }: LightFacts): Light {
  const light = lightNamed('zipkin')
  if (!tracing) return light('unknown', 'No traces are sent, because no collector is set.')
  if (tracing.problem !== undefined) {
    const dropped = `${number(tracing.dropped)} ${tracing.dropped === 1 ? 'span was' : 'spans were'} dropped since the start.`
    return light('warn', `The trace collector cannot be reached: ${sentence(tracing.problem)} ${dropped} Callbacks are not affected.`)
  }
  return tracing.hasSent ? light('ok', 'The trace collector takes spans.') : light('unknown', 'No span was sent so far.')
}

function ownProcess({ isShuttingDown, replicas }: LightFacts): Light {
  const light = lightNamed('process')
  return isShuttingDown
    ? light(
        'warn',
        `This process is shutting down. ${replicas > 1 ? 'Other replicas take its callbacks.' : 'Its callbacks wait for the next start.'}`,
      )
    : light('ok', 'This process serves.')
}

function lightNamed(name: Light['name']): (state: Light['state'], text: string) => Light {
  return (state, text) => ({ name, state, text })
}

function clientServices(count: number): string {
  return count === 1 ? 'The client service of 1 other workspace is' : `The client services of ${number(count)} other workspaces are`
}
