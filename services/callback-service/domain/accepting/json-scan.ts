/** What `JSON.parse` does not tell about a text: its depth, whether a member is named twice, and how its numbers were written. */
export interface JsonScan {
  /** How many arrays and objects enclose the innermost value, itself included. */
  readonly depth: number
  /** RFC 6901 pointer to the first member whose name appears twice in its object. */
  readonly duplicate: string | undefined
  /** The source text of each element of the array in the wanted member of the outermost object; empty if there is no such array. */
  readonly elements: readonly string[]
}

interface Frame {
  readonly isObject: boolean
  readonly names: Set<string>
  /** Whether the next string is the name of a member. */
  expectsName: boolean
  /** The member or index that the scan has reached. */
  key: string | number
  /** Where the text of the current element starts. */
  start: number
}

/**
 * Scans a text that `JSON.parse` has accepted, in one pass and without recursion.
 * @param text valid JSON; the result for anything else is meaningless
 * @param member the wanted member of the outermost object
 */
export function scanJson(text: string, member: string): JsonScan {
  const stack: Frame[] = []
  const elements: string[] = []
  let depth = 0
  let duplicate: string | undefined

  const endElement = (at: number): void => {
    const [outer, array, inner] = stack
    if (outer?.key !== member || array?.isObject !== false || inner) return
    const source = text.slice(array.start, at).trim()
    if (source !== '') elements.push(source)
  }

  for (let at = 0; at < text.length; at += 1) {
    const frame = stack.at(-1)
    switch (text[at]) {
      case '"': {
        const end = endOfString(text, at)
        if (frame?.expectsName) {
          const name = JSON.parse(text.slice(at, end)) as string
          if (frame.names.has(name)) duplicate ??= pointerTo(stack, name)
          frame.names.add(name)
          frame.key = name
          frame.expectsName = false
        }
        at = end - 1
        break
      }
      case '{':
      case '[': {
        const isObject = text[at] === '{'
        stack.push({ isObject, names: new Set(), expectsName: isObject, key: isObject ? '' : 0, start: at + 1 })
        depth = Math.max(depth, stack.length)
        break
      }
      case '}':
      case ']':
        endElement(at)
        stack.pop()
        break
      case ',':
        endElement(at)
        if (frame) {
          if (frame.isObject) frame.expectsName = true
          else frame.key = (frame.key as number) + 1
          frame.start = at + 1
        }
        break
    }
  }
  return { depth, duplicate, elements }
}

/** @param at index of the opening quote @returns index after the closing quote */
function endOfString(text: string, at: number): number {
  let end = at + 1
  while (text[end] !== '"') end += text[end] === '\\' ? 2 : 1
  return end + 1
}

function pointerTo(stack: readonly Frame[], name: string): string {
  const keys = [...stack.slice(0, -1).map(frame => String(frame.key)), name]
  return keys.map(key => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
