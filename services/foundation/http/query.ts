import type { Request } from 'express'
import { excerpt, HttpProblem } from './problems.ts'

/** Refuses unknown query parameters: a misspelt one must not pass for a missing one. @throws {HttpProblem} invalid_parameter */
export function requireKnownParameters({ query }: Request, known: ReadonlySet<string>): void {
  for (const name of Object.keys(query)) if (!known.has(name)) throw invalidParameter(name, 'is unknown')
}

/**
 * Reads a query parameter.
 * @param read returns undefined if the text is not acceptable
 * @param wanted ends the sentence "The query parameter x must be ..."
 * @returns undefined if the request does not have it
 * @throws {HttpProblem} invalid_parameter
 */
export function queryParameter<T>(request: Request, name: string, read: (text: string) => T | undefined, wanted: string): T | undefined {
  const given: unknown = request.query[name]
  if (given === undefined) return undefined
  if (typeof given !== 'string') throw invalidParameter(name, 'must not appear twice')
  const value = read(given)
  if (value === undefined) throw invalidParameter(name, `must be ${wanted}`)
  return value
}

export function readBoolean(text: string): boolean | undefined {
  return text === 'true' || text === 'false' ? text === 'true' : undefined
}

/** Reads a time with an offset (RFC 3339), to the millisecond. Its day must exist, and its year in UTC must have four digits. */
export function readDateTime(text: string): Date | undefined {
  if (!/^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/.test(text)) return undefined
  const date = new Date(text.toUpperCase().replace(' ', 'T'))
  // JavaScript takes the 30th of February for a day in March.
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`)
  const exists = !Number.isNaN(date.getTime()) && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text.slice(0, 10))
  return exists && /^\d{4}-/.test(date.toISOString()) ? date : undefined
}

/** Reads a parameter of the path. */
export function pathParameter({ params }: Request, name: string): string {
  return String(params[name])
}

function invalidParameter(name: string, detail: string): HttpProblem {
  return new HttpProblem('invalid_parameter', `The query parameter ${JSON.stringify(excerpt(name))} ${detail}.`)
}
