/** What `JSON.parse` tells a reviver of a primitive value (ECMAScript 2026). TypeScript does not know it yet. */
type Reviver = (this: unknown, key: string, value: unknown, context?: { readonly source?: string }) => unknown

/** Parses JSON in which numbers may be 64-bit ids. An integer beyond 2^53 becomes a string with all its digits. */
export function parseExactJson(text: string): unknown {
  const revive: Reviver = (_key, value, context) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '') ? context?.source : value
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown)
}
