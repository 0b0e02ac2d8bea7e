import { scanJson } from '../accepting/json-scan.ts'
import { decodeBody, InvalidBodyError, nameOf, parseJson, requireObject } from '../json-body.ts'

/** Reads the value of one member. @param pointer the place of the value, for errors @throws {InvalidBodyError} */
export type ReadMember<T> = (value: unknown, pointer: string) => T

/** The members that an object may have, and how to read each. */
export type Members<T> = { readonly [Name in keyof T]: ReadMember<T[Name]> }

/** Reads the body of a request as an object. @throws {InvalidBodyError} */
export function readObject(body: Uint8Array): Readonly<Record<string, unknown>> {
  const text = decodeBody(body)
  return requireObject(parseJson(text), scanJson(text, ''))
}

/** Reads the members that an object has. @throws {InvalidBodyError} unknown_member, or what a member throws */
export function readMembers<T extends object>(object: Readonly<Record<string, unknown>>, members: Members<T>, at = ''): Partial<T> {
  const entries = Object.entries(object).map(([name, value]) => {
    const pointer = `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
    if (!Object.hasOwn(members, name)) {
      throw new InvalidBodyError('unknown_member', `The members are ${Object.keys(members).join(', ')}.`, pointer)
    }
    return [name, members[name as keyof T](value, pointer)] as const
  })
  return Object.fromEntries(entries) as Partial<T>
}

/** Reads null as `fallback`, and any other value with `read`. */
export function orNull<T, F>(read: ReadMember<T>, fallback: F): ReadMember<T | F> {
  return (value, pointer) => (value === null ? fallback : read(value, pointer))
}

export function integer(min: number, max: number): ReadMember<number> {
  const inRange = number(min, max)
  return (value, pointer) => {
    const read = inRange(value, pointer)
    if (!Number.isInteger(read)) throw new InvalidBodyError('not_an_integer', 'The value has a fraction.', pointer)
    return read
  }
}

export function number(min: number, max: number): ReadMember<number> {
  return (value, pointer) => {
    if (typeof value !== 'number') throw wrongType(value, 'a number', pointer)
    if (!(value >= min && value <= max)) throw new InvalidBodyError('out_of_range', `The value must be from ${min} to ${max}.`, pointer)
    return value
  }
}

/** Reads a number above 0. */
export function positive(max: number): ReadMember<number> {
  return (value, pointer) => {
    if (typeof value !== 'number') throw wrongType(value, 'a number', pointer)
    if (!(value > 0 && value <= max)) throw new InvalidBodyError('out_of_range', `The value must be above 0 and at most ${max}.`, pointer)
    return value
  }
}

export const boolean: ReadMember<boolean> = (value, pointer) => {
  if (typeof value !== 'boolean') throw wrongType(value, 'a boolean', pointer)
  return value
}

export const string: ReadMember<string> = (value, pointer) => {
  if (typeof value !== 'string') throw wrongType(value, 'a string', pointer)
  return value
}

/** Reads a line for people: no control characters, and no half of a character. @param maxLength in characters */
export function line(maxLength: number): ReadMember<string> {
  return (value, pointer) => {
    const text = string(value, pointer)
    if ([...text].length > maxLength || !text.isWellFormed() || /\p{Cc}/u.test(text)) {
      throw new InvalidBodyError('invalid_value', `The text must have at most ${maxLength} characters, and no control characters.`, pointer)
    }
    return text
  }
}

/** Reads one of several texts. */
export function oneOf<T extends string>(values: readonly T[]): ReadMember<T> {
  return (value, pointer) => {
    const text = string(value, pointer)
    const found = values.find(candidate => candidate === text)
    if (found !== undefined) return found
    throw new InvalidBodyError('invalid_value', `The value must be one of ${values.join(', ')}.`, pointer)
  }
}

export function list<T>(maxLength: number, read: ReadMember<T>): ReadMember<readonly T[]> {
  return (value, pointer) => {
    if (!Array.isArray(value)) throw wrongType(value, 'an array', pointer)
    if (value.length > maxLength) throw new InvalidBodyError('out_of_range', `The array may have at most ${maxLength} values.`, pointer)
    return value.map((item, i) => read(item, `${pointer}/${i}`))
  }
}

export const object: ReadMember<Readonly<Record<string, unknown>>> = (value, pointer) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(value, 'an object', pointer)
  return value as Readonly<Record<string, unknown>>
}

/** @param at the place of the object that needs it @throws {InvalidBodyError} missing_member */
export function required<T>(value: T | undefined, name: string, at = ''): T {
  if (value === undefined) throw new InvalidBodyError('missing_member', `${name} is missing.`, `${at}/${name}`)
  return value
}

function wrongType(value: unknown, wanted: string, pointer: string): InvalidBodyError {
  return new InvalidBodyError('wrong_type', `The value is ${nameOf(value)}, not ${wanted}.`, pointer)
}
