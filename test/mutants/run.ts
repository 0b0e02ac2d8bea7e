import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Stryker } from '@stryker-mutator/core'
import { describeMutant, type Left, testsOf } from './mutants.ts'

/**
 * `node test/mutants/run.ts --file='services/callback-service/domain/*.ts'` plants small mistakes into each file, one at a time, and runs
 * the tests that import it (or `--tests=a,b`) with each. left.json lists the mistakes that do not matter, with reasons. The program prints
 * a table. The exit code is 1 if any other mistake goes unnoticed. Mistakes that an earlier run noticed in unchanged code are not planted
 * again, except with `--again`.
 */
const { values } = parseArgs({
  options: { file: { type: 'string' }, tests: { type: 'string' }, again: { type: 'boolean', default: false } },
})
if (!values.file) throw new Error("which files? FILE='services/callback-service/domain/*.ts'")

const folder = '.local/mutants'
const leftOf = JSON.parse(readFileSync(new URL('left.json', import.meta.url), 'utf8')) as Left
const allFiles = globSync('{services,test}/**/*.ts')
const rows: string[] = []
const files = globSync(values.file).toSorted()
if (files.length === 0) throw new Error(`no file is called ${values.file}`)
for (const file of files) rows.push(await run(file))
say(['| file | mutants | noticed | left |', '|---|---|---|---|', ...rows].join('\n'))

/** Plants mistakes into one file. @returns its row of the table */
async function run(file: string): Promise<string> {
  const tests = values.tests?.split(',') ?? testsOf(file, allFiles, path => readFileSync(path, 'utf8'))
  const results = (await plant(file, tests)).filter(isCounted)
  const source = readFileSync(file, 'utf8')
  const left = leftOf[file] ?? {}
  const survivors = results.filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
  const unknown = survivors.filter(mutant => !(describeMutant(source, mutant) in left))
  for (const mutant of unknown) fail(`${file}:${mutant.location.start.line} ${mutant.mutatorName}\n  ${describeMutant(source, mutant)}`)
  const known = new Set(survivors.map(mutant => describeMutant(source, mutant)))
  for (const gone of Object.keys(left).filter(mistake => !known.has(mistake))) fail(`${file}: noticed or gone, no more left: ${gone}`)
  say(`${file}: ${unknown.length} unnoticed; by ${tests.join(', ')}`)
  return `| ${file} | ${results.length} | ${results.length - survivors.length} | ${survivors.length - unknown.length} |`
}

async function plant(file: string, tests: readonly string[]) {
  mkdirSync(folder, { recursive: true })
  const incrementalFile = `${folder}/${file.replaceAll('/', '-')}.json`
  if (existsSync(incrementalFile)) forgetUnnoticed(incrementalFile)
  return new Stryker({
    mutate: [file],
    testRunner: 'command',
    commandRunner: { command: `mocha --no-config --bail --exit --timeout 30000 ${tests.join(' ')}` },
    // No test checks the exact words of texts for people.
    mutator: { excludedMutations: ['StringLiteral'] },
    disableTypeChecks: file,
    // There is no such file, because TypeScript runs without a build.
    tsconfigFile: 'none.json',
    ignorePatterns: ['bench', 'docs', '.local'],
    tempDirName: `${folder}/tmp`,
    incremental: true,
    incrementalFile,
    force: values.again,
    reporters: ['progress'],
    allowConsoleColors: false,
    fileLogLevel: 'off' as never,
    concurrency: 2,
  }).runMutationTest()
}

/** Forgets unnoticed mistakes of earlier runs, because new tests may notice them. */
function forgetUnnoticed(incrementalFile: string): void {
  const report = JSON.parse(readFileSync(incrementalFile, 'utf8')) as { files: Record<string, { mutants: { status: string }[] }> }
  for (const file of Object.values(report.files)) file.mutants = file.mutants.filter(({ status }) => status !== 'Survived')
  writeFileSync(incrementalFile, JSON.stringify(report))
}

function isCounted({ status }: { readonly status: string }): boolean {
  return status !== 'CompileError' && status !== 'RuntimeError' && status !== 'Ignored'
}

function fail(line: string): void {
  say(line)
  process.exitCode = 1
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
