const ELEMENT = /(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const PREFERENCE = new RegExp(`^[ \\t]*(${TOKEN})(?:[ \\t]*=[ \\t]*(?:(${TOKEN})|"((?:[^"\\\\]|\\\\.)*)"))?[ \\t]*(?:;.*)?$`, 's')

/**
 * Reads a preference of the header `Prefer` (https://www.rfc-editor.org/rfc/rfc7240#section-2). Several headers, joined with commas, are one.
 * The first preference of a name counts. What is not a preference is ignored, as are parameters.
 * @param name in lower case
 * @returns its value; undefined if the header does not have it, or it has no value
 */
export function preferenceOf(header: string | undefined, name: string): string | undefined {
  for (const [element] of (header ?? '').matchAll(ELEMENT)) {
    const [, token, bare, quoted] = PREFERENCE.exec(element) ?? []
    if (token?.toLowerCase() === name) return bare ?? quoted?.replace(/\\(.)/gs, '$1')
  }
  return undefined
}
