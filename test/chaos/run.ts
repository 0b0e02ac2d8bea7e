import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { chaos } from './chaos.ts'
import { runCommand, say } from './command.ts'
import { planFaults } from './fault-plan.ts'
import { isClean, report } from './report.ts'
import { ROOT } from './system.ts'

const REPLICAS = 3
const PER_SECOND = 50
const GIVE_UP_MS = 30_000

/**
 * `node test/chaos/run.ts --seconds=600 --seed=7`: three callback services under a fault every five seconds, and the count of what was lost.
 * The same seed brings the same faults in the same order; what they meet is as it happens to be. Exits with 1 when anything was found.
 */
await runCommand(async signal => {
  const { values } = parseArgs({ options: { seconds: { type: 'string', default: '600' }, seed: { type: 'string' } } })
  const seconds = Number(values.seconds)
  const seed = Number(values.seed ?? randomInt(2 ** 31))
  if (!(seconds > 0) || !Number.isInteger(seed)) throw new Error('--seconds takes a number above 0, --seed an integer')

  say(`chaos for ${seconds} s, seed ${seed}`)
  const result = await chaos({
    seed,
    seconds,
    faults: planFaults({ seed, seconds, replicas: REPLICAS }),
    perSecond: PER_SECOND,
    replicas: REPLICAS,
    root: ROOT,
    giveUpMs: GIVE_UP_MS,
    signal,
    say,
  })
  say(`\n${report(result, seed)}`)
  process.exitCode = isClean(result) ? 0 : 1
})
