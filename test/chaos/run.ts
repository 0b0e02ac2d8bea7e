import { randomInt } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { runCommand, say } from './command.ts'
import { isClean, report } from './report.ts'
import { runSeed } from './run-seed.ts'

/**
 * `node test/chaos/run.ts --seconds=600 --seed=7`: three callback services under a fault every five seconds, and the count of what was lost.
 * `--faults=1000` instead of the seconds: so many short faults, as fast as the system recovers. `--json=FILE` keeps the numbers.
 * `--only=clock,hang` brings only the kinds of faults that have one of these in their names.
 * The same seed brings the same faults in the same order; what they meet is as it happens to be. Exits with 1 when anything was found.
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
