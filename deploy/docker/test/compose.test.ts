import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

describe('docker-compose.yml', () => {
  const text = readFileSync(fileURLToPath(new URL('../../../docker-compose.yml', import.meta.url)), 'utf8')

  it('publishes nothing but the port of senders beyond this machine', () => {
    const published = [...text.matchAll(/^ +ports: \[(.*)\]$/gm)].flatMap(([, list]) => list?.split(', ') ?? [])
    assert.equal(published.length, 6)
    const elsewhere = published.filter(port => !port.startsWith("'127.0.0.1:"))
    assert.deepEqual(
      elsewhere.map(port => port.slice(port.lastIndexOf(':'))),
      [":9090'"],
    )
  })

  it('bounds the memory and the processes of every container', () => {
    const section = text.split('\nservices:')[1]?.split('\nvolumes:')[0] ?? ''
    const [, ...services] = section.split(/\n {2}(?=[a-z-]+:\n)/)
    assert.equal(services.length, 5)
    const bounded = (part: string): boolean => /\n +mem_limit: /.test(part) && /\n +pids_limit: /.test(part)
    const shared = text.split('x-service: &service')[1]?.split('\nx-')[0] ?? ''
    const without = services.filter(service => !bounded(service.includes('<<: *service') ? shared : service))
    assert.deepEqual(without, [])
  })
})
