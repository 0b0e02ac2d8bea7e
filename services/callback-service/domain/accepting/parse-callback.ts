import type { ObjectId, WrittenId } from '#fetching/object-id.ts'
import { exactInt64 } from '../exact-int64.ts'
import { decodeBody, InvalidBodyError, nameOf, parseJson, requireObject } from '../json-body.ts'
import { scanJson } from './json-scan.ts'

/**
 * Matches the bodies that nearly all senders write: only `object_ids`, with only integers. They need no scan. The text must be valid JSON.
 */
const PLAIN = /^\s*\{\s*"object_ids"\s*:\s*\[[-\d,\s]*\]\s*\}/

/**
 * Reads the ids that a callback names: `{"object_ids": [int64, ...]}`. Other members are ignored.
 * Ids are exact, also beyond 2^53. Duplicates are dropped, and the order of first mention is kept.
 * @param body UTF-8, with or without a byte order mark
 * @param maxObjectIds counted before duplicates are dropped
 * @throws {InvalidBodyError}
 */
export function parseCallback(body: Uint8Array, maxObjectIds: number): WrittenId[] {
  const text = decodeBody(body)
  const value = parseJson(text)
  const plain = PLAIN.test(text) ? plainIds(value, maxObjectIds) : undefined
  return plain ?? scannedIds(text, value, maxObjectIds)
}

/** @returns undefined if a double cannot hold one of the ids exactly: then the ids must be read from the source text */
function plainIds(value: unknown, maxObjectIds: number): number[] | undefined {
  const { object_ids: numbers } = value as { object_ids: number[] }
  checkCount(numbers.length, maxObjectIds)
  if (!numbers.every(Number.isSafeInteger)) return undefined
  return [...new Set(numbers)]
}

function scannedIds(text: string, value: unknown, maxObjectIds: number): ObjectId[] {
  const scan = scanJson(text, 'object_ids')
  const members = requireObject(value, scan)
  if (!Object.hasOwn(members, 'object_ids')) throw new InvalidBodyError('missing_member', 'object_ids is missing.', '/object_ids')
  const { object_ids: ids } = members
  if (!Array.isArray(ids)) throw new InvalidBodyError('wrong_type', `object_ids is ${nameOf(ids)}, not an array.`, '/object_ids')
  checkCount(ids.length, maxObjectIds)
  const exact = ids.map((id, i) => {
    if (typeof id !== 'number') throw new InvalidBodyError('wrong_type', `An id is ${nameOf(id)}, not a number.`, `/object_ids/${i}`)
    return exactInt64(scan.elements[i] as string, `/object_ids/${i}`)
  })
  return [...new Set(exact)]
}

function checkCount(count: number, maxObjectIds: number): void {
  if (count > maxObjectIds)
    throw new InvalidBodyError('too_many_ids', `The callback names ${count} ids; at most ${maxObjectIds} are allowed.`, '/object_ids')
}
