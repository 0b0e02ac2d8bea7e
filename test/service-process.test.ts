import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { eventually } from './support/eventually.ts'

const START = `
  import { ServiceProcess } from './test/support/service-process.ts'
  const service = await ServiceProcess.start('client-service', { EMITTER_ENABLED: 'false', ZIPKIN_URL: '' })
  console.log(service.pid)`

describe('a service that tests have started', () => {
  it('ends when the tests are killed', async () => {
    const tests = spawn(process.execPath, ['--input-type=module-typescript', '--eval', START], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(tests.stdout, 'data')) as [Buffer]
    const pid = Number(line)
    assert.ok(isAlive(pid))
    tests.kill('SIGKILL')
    await eventually('it has ended', () => !isAlive(pid))
  })
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
