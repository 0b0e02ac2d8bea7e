import { randomInt } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { runCommand, say } from './command.ts'
import { isClean, report } from './report.ts'
import { runSeed } from './run-seed.ts'

/**
 * `node test/chaos/run.ts --seconds=600 --seed=7` runs three callback services with a fault every five seconds, and checks what was lost.
 * `--faults=1000` replaces the seconds: it makes that many short faults, as fast as the system recovers. `--json=FILE` stores the numbers.
 * `--only=clock,hang` makes only kinds of faults whose names contain one of these words.
 * The same seed gives the same faults in the same order, but not the same timing. The exit code is 1 if the run found a violation.
 */
await runCommand(async signal => {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '600' },
      faults: { type: 'string' },
      seed: { type: 'string' },
      only: { type: 'string', default: '' },
      json: { type: 'string' },
    },
  })
  const seed = Number(values.seed ?? randomInt(2 ** 31))
  const length = values.faults === undefined ? { seconds: Number(values.seconds) } : { faults: Number(values.faults) }
  if (!Object.values(length).every(value => value > 0) || !Number.isInteger(seed))
    throw new Error('--seconds and --faults take a number above 0, --seed an integer')

  const summary = await runSeed({ seed, ...length, only: values.only.split(','), signal, say })
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify([summary]))
  say(`\n${report(summary)}`)
  process.exitCode = isClean(summary) ? 0 : 1
})
