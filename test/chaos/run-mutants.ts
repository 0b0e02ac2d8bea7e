import { parseArgs } from 'node:util'
import { type ChaosOptions, chaos } from './chaos.ts'
import { runCommand, say } from './command.ts'
import { CONTROL, MUTANTS, type Mutant, secondsFor } from './mutants.ts'
import { withPlanted } from './plant.ts'
import { isClean, report, violationsOf } from './report.ts'
import { summaryOf } from './summary.ts'
import { ROOT } from './system.ts'

const SEED = 1
const PER_SECOND = 60

/**
 * `node test/chaos/run-mutants.ts` plants one fault after the other into copies of the services, and runs each under faults that must
 * reveal it. It begins with the unchanged services, which must survive all these faults. The exit code is 1 if a mutant survives or the
 * unchanged services fail. `--only=token` runs only the mutants whose names contain that word.
 *
 * There is no mutant whose spool does not flush (`synchronous=OFF`). A kill -9 loses nothing that the system has taken; only a power cut
 * does.
 */
await runCommand(async signal => {
  const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } })
  const run = async (root: string, faults: ChaosOptions['faults'], perSecond = PER_SECOND) => {
    const started = performance.now()
    const options = { seed: SEED, seconds: secondsFor(faults), faults, perSecond, replicas: 3, root, giveUpMs: 12_000 }
    const result = await chaos({ ...options, signal, say: () => undefined })
    return { result, seconds: ((performance.now() - started) / 1000).toFixed(0) }
  }

  say('| planted | caught by | after |', '|---|---|---|')
  let survivors = 0
  if (values.only === '') {
    const { result, seconds } = await run(ROOT, CONTROL)
    const summary = summaryOf(result, SEED)
    say(`| nothing | ${isClean(summary) ? 'nothing' : `**${violationsOf(result).join(', ') || 'an end'}**`} | ${seconds} s |`)
    if (!isClean(summary)) {
      survivors += 1
      say(report(summary))
    }
  }
  for (const mutant of MUTANTS.filter(({ name }) => name.includes(values.only))) {
    const { result, seconds } = await withPlanted(mutant, root => run(root, mutant.faults, mutant.perSecond))
    const caught = violationsOf(result)
    const isCaught = caught.some(violation => mutant.shownBy.includes(violation))
    if (!isCaught) survivors += 1
    const counts = caught.map(violation => `${violation} ${result.findings[violation].length}`)
    say(`| ${mutant.name} | ${isCaught ? counts.join(', ') : `**survived**, expected ${expected(mutant)}`} | ${seconds} s |`)
  }
  say('', survivors === 0 ? 'all were caught' : `${survivors} not as they must be`)
  process.exitCode = survivors === 0 ? 0 : 1
})

function expected({ shownBy }: Mutant): string {
  return shownBy.join(' or ')
}
