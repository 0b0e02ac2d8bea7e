import { refuseForeignPages } from '#foundation/admin/guards.ts'
import type { Gate, RouteFacts } from '#foundation/http/route.ts'
import type { Logger } from '#foundation/telemetry/logger.ts'
import { SenderSignature } from '../adapters/sender-signature.ts'
import { authorize, type Directory, isOpenAccess } from '../api/gates/authorize.ts'
import { callerOf } from '../api/gates/caller-of.ts'
import { type LimitOptions, limitRequests } from '../api/gates/limit-requests.ts'
import { LimitUsages } from '../api/gates/limit-usages.ts'
import { logChanges } from '../api/gates/log-changes.ts'
import { type Config, superuserKeysOf } from '../config.ts'
import type { Workspace } from '../domain/workspaces/workspace.ts'

/** Joins what decides who may do what: keys, workspaces, limits and the signatures of senders. */
export function access(options: {
  readonly config: Config
  readonly directory: Directory
  readonly clock: { nowMs(): number }
  readonly replicas: LimitOptions['replicas']
  readonly waitSeconds: LimitOptions['waitSeconds']
  readonly logger: Logger
}) {
  const { config, directory, clock, replicas, waitSeconds, logger } = options
  const superuserKeys = superuserKeysOf(config)
  const nowMs = () => performance.now()
  const authorized = authorize({
    directory,
    mode: config.access.mode,
    superuserKeys,
    maxFailures: config.access.maxFailures,
    refuseForeignPages: refuseForeignPages(config.admin.allowedHosts),
    databaseNowMs: () => clock.nowMs(),
    nowMs,
  })
  const usages = new LimitUsages()
  const limited = limitRequests({ usages, replicas, waitSeconds, nowMs })
  const known: Gate = (request, _response, route) => authorized(request, route)
  return {
    usages,
    gate: inTurn(known, inTurn(limited, logChanges(logger))),
    /** For the live page. What a superuser looks at does not count for the limits of a workspace, or it would take from its senders. */
    pageGate: inTurn(
      known,
      inTurn((request, response, route) => (isLooking(request, route) ? undefined : limited(request, response, route)), logChanges(logger)),
    ),
    isOpen: isOpenAccess({ mode: config.access.mode, superuserKeys }),
    isSigned: config.senders.secrets !== '',
    signatureOf: signatures(config.senders.secrets),
  }
}

function isLooking(request: Parameters<Gate>[0], { limits }: RouteFacts): boolean {
  return limits === 'reads' && callerOf(request).role === 'superuser'
}

/** Runs `second` after `first`, without a promise if `first` needs none. */
export function inTurn(first: Gate, second: Gate): Gate {
  return (request, response, route) => {
    const waiting = first(request, response, route)
    return waiting ? waiting.then(() => second(request, response, route)) : second(request, response, route)
  }
}

/** Returns the signatures of each workspace. Its own secrets replace those of the service. */
function signatures(secrets: string): (workspace: Workspace) => SenderSignature | undefined {
  const common = secrets === '' ? undefined : new SenderSignature(secrets.trim().split(/\s+/))
  // A changed workspace is a new value, so it gets a new signature.
  const own = new WeakMap<Workspace, SenderSignature>()
  return workspace => {
    if (workspace.signingSecrets.length === 0) return common
    const known = own.get(workspace) ?? new SenderSignature(workspace.signingSecrets)
    own.set(workspace, known)
    return known
  }
}
