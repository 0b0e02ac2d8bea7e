import assert from 'node:assert/strict'
import type { Request, Response } from 'express'
import { requireDecodablePath, requireValidHost } from '../../http/guards.ts'

/** @returns whether the guard lets the request through @throws what it throws */
function passes(guard: typeof requireValidHost, request: object): boolean {
  let isThrough = false
  guard(request as Request, {} as Response, () => {
    isThrough = true
  })
  return isThrough
}

describe('requireValidHost', () => {
  const passed: [what: string, rawHeaders: string[], httpVersion: string][] = [
    ['one Host', ['Host', 'x'], '1.1'],
    ['one Host, however it is written', ['hOST', 'x'], '1.1'],
    [
      'one Host beside headers whose names are as long, or whose values are its name',
      ['Date', 'Host', 'Host', 'host', 'From', 'host'],
      '1.1',
    ],
    ['no Host in HTTP/1.0', ['Accept', 'host'], '1.0'],
  ]
  for (const [what, rawHeaders, httpVersion] of passed) {
    it(`lets a request through with ${what}`, () => assert.equal(passes(requireValidHost, { rawHeaders, httpVersion }), true))
  }

  const refused: [what: string, rawHeaders: string[], httpVersion: string][] = [
    ['no Host', ['Date', 'host'], '1.1'],
    ['two Hosts', ['Host', 'x', 'Accept', '*/*', 'host', 'x'], '1.1'],
    ['two Hosts in HTTP/1.0', ['Host', 'x', 'host', 'x'], '1.0'],
  ]
  for (const [what, rawHeaders, httpVersion] of refused) {
    it(`refuses a request with ${what}, and closes its connection`, () => {
      assert.throws(() => passes(requireValidHost, { rawHeaders, httpVersion }), { code: 'bad_request', headers: { Connection: 'close' } })
    })
  }
})

describe('requireDecodablePath', () => {
  it('lets a path through that can be decoded, whatever stands in its query', () => {
    assert.equal(passes(requireDecodablePath, { url: '/a%20b?c=%', path: '/a%20b' }), true)
  })

  it('refuses a path whose percent-encoding means nothing', () => {
    assert.throws(() => passes(requireDecodablePath, { url: '/%zz', path: '/%zz' }), URIError)
  })
})
