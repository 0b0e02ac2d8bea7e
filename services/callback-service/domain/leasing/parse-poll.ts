import { integer, line, number, readMembers, readObject } from '../workspaces/json-members.ts'

export const MAX_WAIT_SECONDS = 60
export const MAX_CALLBACKS = 100
export const MAX_OBJECTS = 10_000
export const DEFAULT_OBJECTS = 1000
export const MAX_VERSION = 64

/** What an agent says when it asks for leases. */
export interface AskedPoll {
  readonly waitMs: number
  readonly maxCallbacks: number
  readonly maxObjects: number
  /** What the agent says of itself. */
  readonly version: string | undefined
}

/** Reads the body of a request for leases. @param body undefined: the request has none @throws {InvalidBodyError} */
export function parsePoll(body: Uint8Array | undefined): AskedPoll {
  const read = readMembers<{ wait_seconds: number; max_callbacks: number; max_objects: number; version: string }>(
    body ? readObject(body) : {},
    {
      wait_seconds: number(0, MAX_WAIT_SECONDS),
      max_callbacks: integer(1, MAX_CALLBACKS),
      max_objects: integer(1, MAX_OBJECTS),
      version: line(MAX_VERSION),
    },
  )
  return {
    waitMs: (read.wait_seconds ?? 0) * 1000,
    maxCallbacks: read.max_callbacks ?? 1,
    maxObjects: read.max_objects ?? DEFAULT_OBJECTS,
    version: read.version,
  }
}
