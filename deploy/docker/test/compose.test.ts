import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

describe('docker-compose.yml', () => {
  const text = readFileSync(fileURLToPath(new URL('../../../docker-compose.yml', import.meta.url)), 'utf8')

  it('publishes nothing beyond this machine, unless HTTP_HOST opens the port of senders', () => {
    const published = [...text.matchAll(/^ +ports: \[(.*)\]$/gm)].flatMap(([, list]) => list?.split(', ') ?? [])
    assert.equal(published.length, 6)
    const elsewhere = published.filter(port => !port.startsWith("'127.0.0.1:"))
    assert.deepEqual(elsewhere, ["'$" + '{HTTP_HOST:-127.0.0.1}:$' + "{CALLBACK_PORT:-9090}:9090'"])
  })

  it('serves the live page with its switches, and links to traces where the browser of this machine finds them', () => {
    for (const line of [
      "ADMIN_PAGE: 'on'",
      'CLIENT_SERVICE_ADMIN_URL: http://client-service:6061',
      `TRACING_UI_URL: http://localhost:${'$'}{ZIPKIN_PORT:-9411}/zipkin`,
    ])
      assert.ok(text.includes(`\n      ${line}\n`), line)
  })

  it('passes the access settings on, without which nobody would need a key', () => {
    for (const name of ['ACCESS_MODE', 'ACCESS_SUPERUSER_KEYS']) assert.match(text, new RegExp(`^ {6}${name}:$`, 'm'))
  })

  for (const [env, host] of [
    [{}, '127.0.0.1'],
    [{ HTTP_HOST: '192.0.2.7' }, '192.0.2.7'],
    [{ ACCESS_MODE: 'keys' }, '0.0.0.0'],
    [{ ACCESS_MODE: 'open' }, '127.0.0.1'],
    [{ ACCESS_SUPERUSER_KEYS: 'secret' }, '0.0.0.0'],
    [{ ACCESS_SUPERUSER_KEYS: 'secret', HTTP_HOST: '127.0.0.1' }, '127.0.0.1'],
  ] as const) {
    it(`is published on ${host} with ${JSON.stringify(env)}`, () => assert.equal(chosenBy('choose_host', 'HTTP_HOST', env), host))
  }

  for (const [env, key] of [
    [{}, ''],
    [{ ACCESS_SUPERUSER_KEYS: '  first second ' }, 'first'],
    [{ ACCESS_SUPERUSER_KEYS: 'first', CALLBACK_SERVICE_KEY: 'own' }, 'own'],
  ] as const) {
    it(`gives the client service the key "${key}" with ${JSON.stringify(env)}`, () =>
      assert.equal(chosenBy('choose_emitter_key', 'CALLBACK_SERVICE_KEY', env), key))
  }

  /** Runs one function of compose.sh. @returns the variable that it exports */
  function chosenBy(name: string, variable: string, env: Readonly<Record<string, string>>): string {
    const script = fileURLToPath(new URL('../compose.sh', import.meta.url))
    const [, text = ''] = new RegExp(`^(${name}\\(\\) \\{[\\s\\S]*?^\\})$`, 'm').exec(readFileSync(script, 'utf8')) ?? []
    const command = `${text}\n${name}; printenv ${variable}`
    return execFileSync('bash', ['-euo', 'pipefail', '-c', command], {
      env: { PATH: process.env['PATH'], ...env },
      encoding: 'utf8',
    }).trim()
  }

  it('bounds the memory and the processes of every container', () => {
    const section = text.split('\nservices:')[1]?.split('\nvolumes:')[0] ?? ''
    const [, ...services] = section.split(/\n {2}(?=[a-z-]+:\n)/)
    assert.equal(services.length, 6)
    const bounded = (part: string): boolean => /\n +mem_limit: /.test(part) && /\n +pids_limit: /.test(part)
    const shared = text.split('x-service: &service')[1]?.split('\nx-')[0] ?? ''
    const without = services.filter(service => !bounded(service.includes('<<: *service') ? shared : service))
    assert.deepEqual(without, [])
  })
})
