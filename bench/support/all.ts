import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'

/** Runs all benchmarks, one after the other, each in a separate process with the given arguments. The exit code is 1 if one failed. */
const failed: string[] = []
for (const file of readdirSync(new URL('..', import.meta.url)).filter(name => name.endsWith('.ts'))) {
  const child = spawn(process.execPath, [`bench/${file}`, ...process.argv.slice(2)], { stdio: 'inherit' })
  const [code] = await once(child, 'exit')
  if (code !== 0) failed.push(file)
}
if (failed.length > 0) {
  process.stderr.write(`failed: ${failed.join(', ')}\n`)
  process.exitCode = 1
}
