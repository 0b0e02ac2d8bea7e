import type { Request } from 'express'
import { HttpProblem } from '#foundation/http/problems.ts'

/** Whether a request certainly names neither a key nor a workspace. Most do not, and this costs little. */
export function isPlain({ headers, url }: Request): boolean {
  return (
    headers.authorization === undefined && headers['x-api-key'] === undefined && headers['x-workspace'] === undefined && !url.includes('?')
  )
}

/**
 * Reads the key: `Authorization: Bearer`, `X-API-Key` or `?api_key=`.
 * @param counts tells whether a text is meant as a key
 * @returns undefined if the request has none
 * @throws {HttpProblem} bad_request: there are several. Nobody can say which one a proxy on the way has checked
 */
export function readKey(request: Request, counts: (text: string) => boolean): string | undefined {
  const bearers = headersNamed(request, 'authorization').flatMap(bearerOf)
  const keys = [...bearers, ...headersNamed(request, 'x-api-key'), ...parametersNamed(request, 'api_key')].filter(counts)
  if (keys.length > 1) throw new HttpProblem('bad_request', 'A request must not have two keys.')
  return keys[0]
}

/** Reads the name of the workspace: `?workspace_id=` or `X-Workspace`. @throws {HttpProblem} bad_request: there are two, or two headers */
export function readWorkspaceName(request: Request): string | undefined {
  const headers = headersNamed(request, 'x-workspace')
  const parameters = parametersNamed(request, 'workspace_id')
  if (headers.length > 1 || parameters.length > 1) throw new HttpProblem('bad_request', 'A request must not name its workspace twice.')
  const [header, parameter] = [headers[0], parameters[0]]
  if (header !== undefined && parameter !== undefined && header !== parameter)
    throw new HttpProblem('bad_request', 'X-Workspace and workspace_id name two workspaces.')
  return parameter ?? header
}

/** Node joins or drops headers of the same name. Only the raw ones show that there were two. */
function headersNamed({ headers, rawHeaders }: Request, name: string): readonly string[] {
  if (headers[name] === undefined) return NONE
  const values: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] as string
    if (given.length === name.length && given.toLowerCase() === name) values.push((rawHeaders[i + 1] as string).trim())
  }
  return values
}

function parametersNamed(request: Request, name: string): readonly string[] {
  if (!request.url.includes('?')) return NONE
  const given = request.query[name]
  return given === undefined ? NONE : Array.isArray(given) ? given.map(String) : [String(given)]
}

function bearerOf(authorization: string): string[] {
  const bearer = /^bearer(?: +(.*))?$/is.exec(authorization)
  return bearer ? [bearer[1] ?? ''] : []
}

const NONE: readonly string[] = []
