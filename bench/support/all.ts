import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import pLimit from 'p-limit'

/**
 * Runs all benchmarks, each in a separate process with the given arguments. The exit code is 1 if one failed. One runs after the other,
 * because they would slow each other down. With `--quick`, which measures no speed, two run at a time, and each prints everything at its end.
 */
const args = process.argv.slice(2)
const isQuick = args.includes('--quick')
const inTurn = pLimit(isQuick ? 2 : 1)
const failed: string[] = []
const files = readdirSync(new URL('..', import.meta.url)).filter(name => name.endsWith('.ts'))
await inTurn.map(files, async file => {
  const child = spawn(process.execPath, [`bench/${file}`, ...args], { stdio: isQuick ? ['inherit', 'pipe', 'pipe'] : 'inherit' })
  const [[code], output, errors] = await Promise.all([
    once(child, 'exit'),
    child.stdout && text(child.stdout),
    child.stderr && text(child.stderr),
  ])
  process.stdout.write(output ?? '')
  process.stderr.write(errors ?? '')
  if (code !== 0) failed.push(file)
})
if (failed.length > 0) {
  process.stderr.write(`failed: ${failed.join(', ')}\n`)
  process.exitCode = 1
}
