import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { runCommand, say } from './command.ts'
import { isClean, report } from './report.ts'
import { runSeed } from './run-seed.ts'
import { merged, type Summary } from './summary.ts'

/**
 * `node test/chaos/campaign.ts --faults=1000 --seeds=1,2,3`: a run for each seed, one after the other, and all of them in one table.
 * `--merge=a.json,b.json` adds what earlier runs have kept; without `--seeds` it is all there is. `--json=FILE` keeps the numbers of all.
 * Exits with 1 when anything was found.
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
