import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createSecureServer, type Http2SecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const path = (file: string): string => fileURLToPath(new URL(`fixtures/${file}`, import.meta.url))

/** A self-signed certificate for localhost and 127.0.0.1. Its key is in this repository, so it proves nothing to anybody. */
const CERTIFICATE = path('tls-certificate.pem')

describe('ObjectClient over TLS', () => {
  let server: Http2SecureServer
  let origin: string
  const versions: string[] = []

  before(async () => {
    const identity = { cert: readFileSync(CERTIFICATE), key: readFileSync(path('tls-key.pem')), allowHTTP1: true }
    server = createSecureServer(identity, (request, response) => {
      versions.push(request.httpVersion)
      response.end('{"id":7,"online":true}')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => server.close())
  beforeEach(() => {
    versions.length = 0
  })

  /** Fetches an object in a process of its own, because Node reads NODE_EXTRA_CA_CERTS when it starts. */
  async function fetched(env: Readonly<Record<string, string>>): Promise<unknown> {
    const { NODE_EXTRA_CA_CERTS: _, ...inherited } = process.env
    const { stdout } = await promisify(execFile)(process.execPath, [path('fetch-object.ts'), origin], { env: { ...inherited, ...env } })
    return JSON.parse(stdout)
  }

  it('refuses a certificate of an unknown authority', async () => {
    assert.deepEqual(await fetched({}), { reason: 'connection', cause: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    assert.deepEqual(versions, [])
  })

  it('accepts it if NODE_EXTRA_CA_CERTS names the authority, and uses HTTP/1.1 even where HTTP/2 is offered', async () => {
    assert.deepEqual(await fetched({ NODE_EXTRA_CA_CERTS: CERTIFICATE }), { online: true })
    assert.deepEqual(versions, ['1.1'])
  })
})
