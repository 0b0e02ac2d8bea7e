import type { Request } from 'express'
import Type from 'typebox'
import { readBody } from '#foundation/http/body.ts'
import { HttpProblem } from '#foundation/http/problems.ts'
import { pathParameter } from '#foundation/http/query.ts'
import { WORKSPACE_NAME } from '../../domain/workspaces/workspace.ts'
import { requireJson, requireSingleHeaders } from '../callbacks/callback-headers.ts'
import { callerOf, readmitCaller } from '../gates/caller-of.ts'

const MAX_BODY_BYTES = 16 * 1024

export const WorkspaceName = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', examples: ['shop'] })

/** The problems of a request about one workspace. */
export const SUBJECT_PROBLEMS = ['workspace_not_found', 'too_many_reads', 'storage_unavailable'] as const

/** The problems of a request with a JSON body. */
export const BODY_PROBLEMS = [
  ...['bad_request', 'unsupported_media_type', 'unsupported_encoding', 'body_too_large', 'empty_body', 'invalid_encoding', 'invalid_json'],
  ...['duplicate_member', 'too_deep', 'not_an_object', 'missing_member', 'unknown_member', 'wrong_type', 'invalid_value', 'not_an_integer'],
  'out_of_range',
] as const

/**
 * Returns the name of the workspace in the path, which may not exist. Only a superuser learns whether a workspace exists that is not its own.
 * @throws {HttpProblem} not_found, workspace_not_found
 */
export function subjectOf(request: Request): string {
  const name = pathParameter(request, 'name')
  const { role, workspace } = callerOf(request)
  if (role !== 'superuser' && name !== workspace.name) throw nothingHere()
  if (!WORKSPACE_NAME.test(name)) throw workspaceNotFound()
  return name
}

/** The answer to a caller that may not do something: the same as for a path that no operation has. */
export function nothingHere(): HttpProblem {
  return new HttpProblem('not_found', 'No operation has this path.')
}

export function workspaceNotFound(): HttpProblem {
  return new HttpProblem('workspace_not_found', 'No workspace has this name.')
}

/** Reads a JSON body. Pages of other sites can send forms and text without asking, but not JSON. @throws {HttpProblem} */
export async function jsonBodyOf(request: Request, maxBytes = MAX_BODY_BYTES): Promise<Buffer> {
  requireSingleHeaders(request)
  requireJson(request)
  const body = await readBody(request, maxBytes)
  readmitCaller(request)
  return body
}

/** Reads a JSON body that may be absent. @returns undefined if the request has none @throws {HttpProblem} */
export async function optionalJsonBodyOf(request: Request): Promise<Buffer | undefined> {
  requireSingleHeaders(request)
  requireNoForm(request)
  const body = await readBody(request, MAX_BODY_BYTES)
  if (body.length > 0) requireJson(request)
  readmitCaller(request)
  return body.length > 0 ? body : undefined
}

/** Lets a request without a body pass, unless a page in a browser may have sent it without asking. @throws {HttpProblem} */
export function requireNoForm(request: Request): void {
  const { origin, 'content-type': type } = request.headers
  if (origin !== undefined || type !== undefined) requireJson(request)
}
