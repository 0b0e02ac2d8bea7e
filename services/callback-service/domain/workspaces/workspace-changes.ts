import { labels } from '../agents/parse-agent.ts'
import { InvalidBodyError } from '../json-body.ts'
import {
  boolean,
  integer,
  line,
  list,
  type Members,
  number,
  object,
  oneOf,
  orNull,
  positive,
  type ReadMember,
  readMembers,
  readObject,
  required,
  string,
} from './json-members.ts'
import { FETCHERS, type Fetcher, type Limits, NO_LIMITS, WORKSPACE_NAME, type Workspace } from './workspace.ts'

/** What a caller may set of a workspace. Members that are absent stay as they are. */
export type WorkspaceChanges = Partial<Omit<Workspace, 'name' | 'limits' | 'createdAt' | 'archivedAt'>> & {
  readonly limits?: Partial<Limits>
}

/** A new workspace. What is absent has the value that null stands for. */
export interface NewWorkspace extends WorkspaceChanges {
  readonly name: string
}

/** Whether the service may fetch objects from below this URL. */
export type IsAllowedUrl = (url: URL) => boolean

export const MAX_DESCRIPTION = 500
export const MAX_URL = 500
export const MAX_SECRETS = 10
export const MAX_WEIGHT = 1000
/** Ten years, like the settings that are a number of seconds. */
export const MAX_SECONDS = 3650 * 86_400
export const MAX_RATE = 1_000_000
/** One request in about a quarter of an hour. A lower rate would make callers wait for longer than anybody waits. */
export const MIN_RATE = 0.001
export const MAX_COUNT = 1_000_000_000
/** Standard Webhooks: base64 of 24 to 64 bytes, with or without `whsec_` before it. */
export const SIGNING_SECRET = /^(whsec_)?[A-Za-z0-9+/]{32,88}={0,2}$/

/** Reads the body of a request that creates a workspace. @throws {InvalidBodyError} */
export function parseNewWorkspace(body: Uint8Array, isAllowedUrl: IsAllowedUrl): NewWorkspace {
  const { name, ...changes } = readMembers<WrittenWorkspace>(readObject(body), { name: workspaceName, ...membersOf(isAllowedUrl) })
  return { name: required(name, 'name'), ...changesOf(changes) }
}

/**
 * Reads the body of a request that changes a workspace: a JSON merge patch (RFC 7396). Null means the setting of the service, or no limit.
 * @throws {InvalidBodyError}
 */
export function parseWorkspaceChanges(body: Uint8Array, isAllowedUrl: IsAllowedUrl): WorkspaceChanges {
  return changesOf(readMembers<WrittenChanges>(readObject(body), membersOf(isAllowedUrl)))
}

/** Returns the workspace with its changes. Limits are merged one by one. */
export function changed(workspace: Workspace, { limits, ...changes }: WorkspaceChanges): Workspace {
  return { ...workspace, ...changes, limits: { ...workspace.limits, ...limits } }
}

/** Reads the name of a workspace. @throws {InvalidBodyError} */
export const workspaceName: ReadMember<string> = (value, pointer) => {
  const name = string(value, pointer)
  if (!WORKSPACE_NAME.test(name)) {
    throw new InvalidBodyError('invalid_value', 'A name has 1 to 64 characters: A to Z, a to z, 0 to 9, _ and -.', pointer)
  }
  return name
}

/** A workspace as JSON writes it. */
interface WrittenChanges {
  readonly description: string
  readonly client_service_url: string | null
  readonly ttl_seconds: number | null
  readonly keep_offline: boolean | null
  readonly signing_secrets: readonly string[]
  readonly paused: boolean
  readonly weight: number
  readonly fetcher: Fetcher
  readonly agent_labels: readonly string[]
  readonly limits: Partial<Limits>
}

interface WrittenWorkspace extends WrittenChanges {
  readonly name: string
}

/** The limits as JSON writes them. */
type WrittenLimits = Readonly<
  Record<'requests_per_second' | 'burst' | 'active_requests' | 'unfinished_callbacks' | 'body_bytes' | 'object_ids', number | null>
>

const LIMITS: Members<WrittenLimits> = {
  requests_per_second: orNull(number(MIN_RATE, MAX_RATE), null),
  burst: orNull(integer(1, MAX_RATE), null),
  active_requests: orNull(integer(1, MAX_COUNT), null),
  unfinished_callbacks: orNull(integer(1, MAX_COUNT), null),
  body_bytes: orNull(integer(1, MAX_COUNT), null),
  object_ids: orNull(integer(1, MAX_COUNT), null),
}

function membersOf(isAllowedUrl: IsAllowedUrl): Members<WrittenChanges> {
  return {
    description: orNull(line(MAX_DESCRIPTION), ''),
    client_service_url: orNull((value, pointer) => clientServiceUrl(value, pointer, isAllowedUrl), null),
    ttl_seconds: orNull(positive(MAX_SECONDS), null),
    keep_offline: orNull(boolean, null),
    signing_secrets: orNull(list(MAX_SECRETS, signingSecret), []),
    paused: orNull(boolean, false),
    weight: orNull(integer(1, MAX_WEIGHT), 1),
    fetcher: orNull(oneOf(FETCHERS), 'service'),
    agent_labels: orNull(labels, []),
    limits: orNull((value, pointer) => limitsOf(readMembers(object(value, pointer), LIMITS, pointer)), NO_LIMITS),
  }
}

function limitsOf(written: Partial<WrittenLimits>): Partial<Limits> {
  return present({
    requestsPerSecond: written.requests_per_second,
    burst: written.burst,
    activeRequests: written.active_requests,
    unfinishedCallbacks: written.unfinished_callbacks,
    bodyBytes: written.body_bytes,
    objectIds: written.object_ids,
  })
}

function changesOf(written: Partial<WrittenChanges>): WorkspaceChanges {
  return present({
    description: written.description,
    clientServiceUrl: written.client_service_url,
    ttlSeconds: written.ttl_seconds,
    keepOffline: written.keep_offline,
    signingSecrets: written.signing_secrets,
    isPaused: written.paused,
    weight: written.weight,
    fetcher: written.fetcher,
    agentLabels: written.agent_labels,
    limits: written.limits,
  })
}

/** Leaves out the members that are undefined. */
function present<T extends object>(members: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never
}

/** @returns the URL in its usual form, so that one client service is one text */
function clientServiceUrl(value: unknown, pointer: string, isAllowedUrl: IsAllowedUrl): string {
  const text = string(value, pointer)
  // `URL` would remove white space, and take a backslash for a slash.
  if (!/^https?:\/\/[^\s\p{Cc}\\?#]+$/iu.test(text) || !URL.canParse(text)) throw invalidUrl(pointer)
  const url = new URL(text)
  if (url.username !== '' || url.password !== '' || text.length > MAX_URL || url.href.length > MAX_URL) throw invalidUrl(pointer)
  if (!isAllowedUrl(url)) throw new InvalidBodyError('invalid_value', 'The service may not use this address.', pointer)
  return url.href
}

function invalidUrl(pointer: string): InvalidBodyError {
  return new InvalidBodyError(
    'invalid_value',
    `The value must be an http or https URL of at most ${MAX_URL} characters, without credentials, query and fragment.`,
    pointer,
  )
}

function signingSecret(value: unknown, pointer: string): string {
  const secret = string(value, pointer)
  if (SIGNING_SECRET.test(secret)) return secret
  throw new InvalidBodyError('invalid_value', 'A secret is base64 of 24 to 64 bytes, with or without whsec_ before it.', pointer)
}
