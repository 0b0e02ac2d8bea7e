import { basename } from 'node:path'

/** Mistakes that no test needs to notice: for each file, the mistake and why. */
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

/** What is wrong, in a form that stays the same when other lines change: `a < b → a <= b`. */
export function describeMutant(source: string, { location, replacement = '' }: Mutant): string {
  const { start, end } = location
  const lines = source.split('\n').slice(start.line - 1, end.line)
  const last = lines.length - 1
  lines[last] = (lines[last] ?? '').slice(0, end.column - 1)
  lines[0] = (lines[0] ?? '').slice(start.column - 1)
  return [lines.join('\n'), replacement].map(text => text.replaceAll(/\s+/g, ' ').trim()).join(' → ')
}

/** The tests that import the file by its name; where there are none, those of its room. @throws {Error} when there are none either */
export function testsOf(file: string, tests: readonly string[], read: (test: string) => string): string[] {
  const [folder, service, room = ''] = file.split('/')
  const near = tests.filter(test => service === 'foundation' || test.startsWith(`${folder}/${service}/`))
  const importing = near.filter(test => read(test).includes(`/${basename(file)}'`))
  if (importing.length > 0) return importing
  const ofRoom = near.filter(test => test.startsWith(`${folder}/${service}/test/${room}/`))
  if (ofRoom.length === 0) throw new Error(`no test imports ${file}: name some with --tests=`)
  return ofRoom
}
