import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { runCommand, say } from './command.ts'
import { isClean, report } from './report.ts'
import { runSeed } from './run-seed.ts'
import { merged, type Summary } from './summary.ts'

/**
 * `node test/chaos/campaign.ts --faults=1000 --seeds=1,2,3` does one run for each seed, one after the other, and adds them up in one table.
 * `--merge=a.json,b.json` adds the numbers of earlier runs; without `--seeds` it only merges them. `--json=FILE` stores the numbers of all
 * runs. The exit code is 1 if a run found a violation.
 */
await runCommand(async signal => {
  const { values } = parseArgs({
    options: {
      faults: { type: 'string', default: '1000' },
      seeds: { type: 'string', default: '' },
      merge: { type: 'string', default: '' },
      json: { type: 'string' },
    },
  })
  const seeds = listOf(values.seeds).map(Number)
  const faults = Number(values.faults)
  if (!(faults > 0) || !seeds.every(Number.isInteger)) throw new Error('--faults takes a number above 0, --seeds integers')

  const kept = await Promise.all(listOf(values.merge).map(async file => JSON.parse(await readFile(file, 'utf8')) as Summary[]))
  const summaries = kept.flat()
  for (const seed of seeds) {
    const summary = await runSeed({ seed, faults, signal, say })
    summaries.push(summary)
    if (values.json !== undefined) await writeFile(values.json, JSON.stringify(summaries))
    say(`\n${report(summary)}\n`)
  }
  if (summaries.length === 0) throw new Error('nothing to do: give --seeds=1,2,3 or --merge=FILE')
  const all = merged(summaries)
  say(`all ${summaries.length} runs`, '', report(all))
  process.exitCode = isClean(all) ? 0 : 1
})

function listOf(text: string): string[] {
  return text.split(',').filter(item => item !== '')
}
