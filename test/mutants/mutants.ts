import { basename } from 'node:path'

/** Mistakes that no test needs to notice: for each file, each mistake with the reason. */
export type Left = Readonly<Record<string, Readonly<Record<string, string>>>>

export interface Mutant {
  /** Lines and columns from 1, as Stryker reports them; the end is exclusive. */
  readonly location: { readonly start: Place; readonly end: Place }
  readonly replacement?: string | undefined
}

interface Place {
  readonly line: number
  readonly column: number
}

/** Describes a mutant by its whole lines, so that changes of other lines do not matter: `if (a < b) c() → if (a <= b) c()`. */
export function describeMutant(source: string, { location, replacement = '' }: Mutant): string {
  const { start, end } = location
  const lines = source.split('\n').slice(start.line - 1, end.line)
  const before = lines[0]?.slice(0, start.column - 1) ?? ''
  const after = lines.at(-1)?.slice(end.column - 1) ?? ''
  return [lines.join('\n'), `${before}${replacement}${after}`].map(text => text.replaceAll(/\s+/g, ' ').trim()).join(' → ')
}

/**
 * Finds the tests that import the file by its name. If there are none, it finds those that import a file that imports it, and so on.
 * @param files tests and sources
 * @throws {Error} there are no such tests
 */
export function testsOf(file: string, files: readonly string[], read: (file: string) => string): string[] {
  const service = file.split('/').slice(0, 2).join('/')
  const near = files.filter(other => service === 'services/foundation' || other.startsWith(`${service}/`))
  const names = [file]
  for (const name of names) {
    const importing = near.filter(other => read(other).includes(`/${basename(name)}'`))
    const tests = importing.filter(other => other.endsWith('.test.ts'))
    if (tests.length > 0) return tests
    names.push(...importing.filter(other => !names.includes(other)))
  }
  throw new Error(`no test imports ${file}: name some with --tests=`)
}
