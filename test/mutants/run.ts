import { globSync, mkdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { Stryker } from '@stryker-mutator/core'
import { describeMutant, type Left, testsOf } from './mutants.ts'

/**
 * `node test/mutants/run.ts --file=services/callback-service/domain/backoff.ts`: plants small mistakes into a file, one at a time, and runs the
 * tests that import it (where there are none, those of its room; or `--tests=a,b`) with each. What is known not to matter is in left.json, with its reason.
 * Exits with 1 when any other mistake goes unnoticed. What an earlier run has found of unchanged code is not run again.
 */
const { values } = parseArgs({
  options: { file: { type: 'string' }, tests: { type: 'string' }, again: { type: 'boolean', default: false } },
})
const { file } = values
if (!file) throw new Error('which file? FILE=services/callback-service/domain/backoff.ts')

const tests = values.tests?.split(',') ?? testsOf(file, globSync('{services,test}/**/*.test.ts'), path => readFileSync(path, 'utf8'))
const folder = '.local/mutants'
mkdirSync(folder, { recursive: true })

const results = await new Stryker({
  mutate: [file],
  testRunner: 'command',
  commandRunner: { command: `mocha --no-config --bail --exit --timeout 30000 ${tests.join(' ')}` },
  // Texts for people are not tested word by word.
  mutator: { excludedMutations: ['StringLiteral'] },
  disableTypeChecks: file,
  // There is none that it could read: TypeScript runs without a build.
  tsconfigFile: 'none.json',
  ignorePatterns: ['bench', 'docs', '.local'],
  tempDirName: `${folder}/tmp`,
  incremental: true,
  incrementalFile: `${folder}/${basename(file)}.json`,
  force: values.again,
  reporters: ['progress'],
  allowConsoleColors: false,
  fileLogLevel: 'off' as never,
  concurrency: 2,
}).runMutationTest()

const left = JSON.parse(readFileSync(new URL('left.json', import.meta.url), 'utf8')) as Left
const source = readFileSync(file, 'utf8')
const survivors = results.filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
const known = survivors.filter(mutant => describeMutant(source, mutant) in (left[file] ?? {}))
const unknown = survivors.filter(mutant => !known.includes(mutant))
for (const mutant of unknown) say(`${file}:${mutant.location.start.line} ${mutant.mutatorName}\n  ${describeMutant(source, mutant)}`)
const counted = results.filter(isCounted).length - known.length
const noticed = counted - unknown.length
say(
  `${file}: ${noticed} of ${counted} noticed (${(noticed / counted).toFixed(3)}), ${known.length} that do not matter; by ${tests.join(', ')}`,
)
process.exitCode = unknown.length === 0 ? 0 : 1

function isCounted({ status }: { readonly status: string }): boolean {
  return status !== 'CompileError' && status !== 'RuntimeError' && status !== 'Ignored'
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
