import { globSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Change, Mutant } from './mutants.ts'
import { ROOT } from './system.ts'

/** The sources of the services. They are copied; node_modules is only linked. */
const SOURCES = ['package.json', 'services', 'prisma']

/** Runs `work` with a copy of the sources that contains the planted fault, so that production code needs no test switches. */
export async function withPlanted<T>({ changes }: Pick<Mutant, 'changes'>, work: (root: string) => Promise<T>): Promise<T> {
  const root = await mkdtemp(join(tmpdir(), 'answerback-mutant-'))
  try {
    for (const source of SOURCES) await cp(join(ROOT, source), join(root, source), { recursive: true })
    await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'))
    for (const change of changes) {
      const file = join(root, placeOf(change))
      await writeFile(file, planted(await readFile(file, 'utf8'), change))
    }
    return await work(root)
  } finally {
    await rm(root, { recursive: true })
  }
}

/** Finds the only file with that name below services/. @returns its path @throws {Error} there is no such file, or more than one */
export function placeOf({ file }: Pick<Change, 'file'>): string {
  const places = globSync(`services/**/${file}`, { cwd: ROOT })
  if (places.length !== 1) throw new Error(`${places.length} files are called ${file}, not one`)
  return places[0] as string
}

/** Replaces the text in a source. @throws {Error} the text does not occur exactly once, so the mutant is out of date */
export function planted(source: string, { file, text, instead }: Change): string {
  const count = source.split(text).length - 1
  if (count !== 1) throw new Error(`this text occurs ${count} times in ${file}, not once: ${text}`)
  return source.replace(text, () => instead)
}
