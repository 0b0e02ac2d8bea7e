import type { Request } from 'express'
import { pathNotFound } from '#foundation/http/problem-handler.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import type { RouteFacts } from '#foundation/http/route.ts'
import { context, trace } from '#foundation/telemetry/spans.ts'
import { StorageUnavailableError } from '../../domain/storage-errors.ts'
import { isKeyShaped } from '../../domain/workspaces/access-key.ts'
import type { Caller, KnownKey } from '../../domain/workspaces/caller.ts'
import { FailedTries } from '../../domain/workspaces/failed-tries.ts'
import { mayUse } from '../../domain/workspaces/permissions.ts'
import { DEFAULT_WORKSPACE, WORKSPACE_NAME, type Workspace } from '../../domain/workspaces/workspace.ts'
import { setCaller } from './caller-of.ts'
import { isPlain, readKey, readWorkspaceName } from './credentials.ts'
import { Identities, type Identity, invalidKey, SUPERUSER, unauthorized } from './identities.ts'

/** The workspaces and keys that this process knows. */
export interface Directory {
  /** `default` is found unless nothing was read yet. */
  find(name: string): Workspace | undefined
  keyWithHash(hash: Buffer): KnownKey | undefined
  /** Looks at the database now. @throws {StorageUnavailableError} */
  refresh(): Promise<void>
  /** @param listener called after each change of a workspace or a key */
  onChange(listener: () => void): void
  /** Notes that somebody used a key. */
  used(keyId: string): void
}

export interface AuthorizeOptions {
  readonly directory: Directory
  /** `open`: callers without a key are superusers, unless there is a superuser key. */
  readonly mode: 'open' | 'keys'
  readonly superuserKeys: readonly string[]
  /** Unknown keys that an address may try in a minute. */
  readonly maxFailures: number
  /** Refuses pages of other sites. Open access needs it where a request could change who may do what. */
  readonly refuseForeignPages: (request: Request) => void
  readonly databaseNowMs: () => number
  /** A monotonic clock. */
  readonly nowMs: () => number
}

/** Whether everybody who reaches the port may do everything. */
export function isOpenAccess({ mode, superuserKeys }: Pick<AuthorizeOptions, 'mode' | 'superuserKeys'>): boolean {
  return mode === 'open' && superuserKeys.length === 0
}

/**
 * Makes the gate that finds out who sent a request, and whether the caller may use the route. What it may not use is 404, as if it did not
 * exist. The gate waits for the database only if it does not know the key or the workspace.
 * @returns a gate that throws HttpProblem: bad_request, key_required, invalid_key, not_found, workspace_not_found, too_many_failures,
 *   storage_unavailable, host_not_allowed, cross_site
 */
export function authorize(options: AuthorizeOptions): (request: Request, route: RouteFacts) => Promise<void> | void {
  const { directory, nowMs } = options
  const isOpen = isOpenAccess(options)
  const identities = new Identities(options)
  const failures = new FailedTries({ max: options.maxFailures, nowMs })
  // With open access, upstreams may have always sent some other Authorization. They must not be refused after an upgrade.
  const counts = isOpen ? isKeyShaped : () => true

  return (request, route) => {
    if (route.access === 'public') return undefined
    if (isPlain(request)) return admit(request, route, withoutKey(), undefined)
    const key = readKey(request, counts)
    const asked = readWorkspaceName(request)
    if (key === undefined) return admit(request, route, withoutKey(), asked)
    const known = identities.of(key)
    if (known) return admit(request, route, known, asked)
    return learn(request, key).then(learned => admit(request, route, learned, asked))
  }

  function withoutKey(): Identity {
    if (isOpen) return SUPERUSER
    throw unauthorized('key_required', 'This operation needs a key.')
  }

  /** Looks at the database for a key that this process does not know. The key may be new. */
  async function learn({ socket }: Request, key: string): Promise<Identity> {
    const address = socket.remoteAddress ?? ''
    const waitMs = failures.begin(address)
    if (waitMs > 0) throw tooManyFailures(waitMs)
    if (!isKeyShaped(key)) throw invalidKey()
    await lookFor('key').catch(error => {
      failures.forgive(address)
      throw error
    })
    const identity = identities.of(key)
    if (!identity) throw invalidKey()
    failures.forgive(address)
    return identity
  }

  /** Looks at the database now, because another replica may just have made what this process does not know. */
  async function lookFor(what: 'key' | 'workspace'): Promise<void> {
    try {
      await directory.refresh()
    } catch (error) {
      if (error instanceof StorageUnavailableError) throw unavailable(`The service does not know this ${what} and cannot look it up now.`)
      throw error
    }
  }

  function admit(request: Request, route: RouteFacts, who: Identity, asked: string | undefined): Promise<void> | void {
    const name = asked ?? DEFAULT_WORKSPACE
    const isUnknown = who.workspace === undefined && !directory.find(name) && WORKSPACE_NAME.test(name)
    if (!isUnknown) return enter(request, route, who, asked)
    return lookFor('workspace').then(() => enter(request, route, who, asked))
  }

  function enter(request: Request, route: RouteFacts, { role, workspace: own, key }: Identity, asked: string | undefined): void {
    const workspace = own === undefined ? chosen(asked ?? DEFAULT_WORKSPACE) : ownOf(own, asked)
    if (!mayUse(role, route.access)) throw pathNotFound()
    const isKeyless = isOpen && key === undefined
    if (isKeyless && (route.access === 'manage' || route.access === 'superuser')) options.refuseForeignPages(request)
    const seen = identities.changes
    setCaller(request, { role, workspace, key }, caller => readmit(caller, seen))
    if (key) directory.used(key.id)
    const span = trace.getSpan(context.active())
    if (span?.isRecording()) span.setAttribute('answerback.workspace', workspace.name)
  }

  /** @param seen number of changes of the directory when the caller was admitted */
  function readmit({ role, workspace, key }: Caller, seen: number): Caller {
    identities.requireValid(key, seen)
    return { role, workspace: directory.find(workspace.name) ?? workspace, key }
  }

  function ownOf(own: string, asked: string | undefined): Workspace {
    const workspace = directory.find(own)
    if (!workspace || (asked !== undefined && asked !== own)) throw pathNotFound()
    return workspace
  }

  function chosen(name: string): Workspace {
    const workspace = directory.find(name)
    if (workspace) return workspace
    throw new HttpProblem('workspace_not_found', 'No workspace has this name.')
  }
}

function tooManyFailures(waitMs: number): HttpProblem {
  return new HttpProblem('too_many_failures', 'Too many unknown keys came from this address.', {
    headers: { 'Retry-After': String(Math.ceil(waitMs / 1000)) },
  })
}

function unavailable(detail: string): HttpProblem {
  return new HttpProblem('storage_unavailable', `${detail} This request stored nothing.`, { headers: { 'Retry-After': '1' } })
}
