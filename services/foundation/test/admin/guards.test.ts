import assert from 'node:assert/strict'
import type { Request, Response } from 'express'
import { requireOperator } from '../../admin/guards.ts'
import { HttpProblem } from '../../http/problems.ts'

describe('requireOperator', () => {
  const guard = requireOperator('Metrics.Example other.example')

  /** @returns the code of the problem with which the request is refused; undefined where it is let through */
  function refusal(headers: Record<string, string>): string | undefined {
    let isThrough = false
    try {
      guard({ headers } as unknown as Request, {} as Response, () => {
        isThrough = true
      })
    } catch (error) {
      assert.equal(isThrough, false)
      return (error as { code: string }).code
    }
    assert.equal(isThrough, true)
    return undefined
  }

  for (const host of [
    '127.0.0.1',
    '10.0.0.7:6060',
    '[::1]',
    '[FE80::1]:6060',
    'LocalHost:6060',
    'localhost:',
    'METRICS.example:80',
    'other.example',
  ])
    it(`lets ${host} through`, () => assert.equal(refusal({ host }), undefined))

  for (const host of [
    '',
    'rebound.example',
    'a[::1]',
    '[::1]a',
    '[localhost',
    'localhost:80:90',
    'localhost:8o',
    '127.0.0.1:80.example',
    'example',
  ])
    it(`refuses the name ${JSON.stringify(host)}`, () => assert.equal(refusal({ host }), 'host_not_allowed'))

  it('refuses a request without a name', () => assert.equal(refusal({}), 'host_not_allowed'))

  it('quotes at most 64 characters of a name', () => {
    assert.throws(() => guard({ headers: { host: 'x'.repeat(100) } } as unknown as Request, {} as Response, () => undefined), {
      message: `"${'x'.repeat(63)}…" is not an IP address, localhost or a name in admin.allowedHosts.`,
    })
  })

  const pages: [headers: Record<string, string>, isOurs: boolean][] = [
    [{ 'sec-fetch-site': 'none' }, true],
    [{ 'sec-fetch-site': 'same-origin', origin: 'http://localhost:6060' }, true],
    [{ origin: 'https://localhost:6060' }, true],
    [{ 'sec-fetch-site': 'same-site' }, false],
    [{ 'sec-fetch-site': 'cross-site' }, false],
    [{ 'sec-fetch-site': 'none', origin: 'http://localhost:3000' }, false],
    [{ 'sec-fetch-site': 'same-origin', origin: 'null' }, false],
    [{ origin: '' }, false],
  ]
  for (const [headers, isOurs] of pages) {
    it(`${isOurs ? 'lets a page of ours through' : 'refuses another page'}: ${JSON.stringify(headers)}`, () => {
      assert.equal(refusal({ host: 'localhost:6060', ...headers }), isOurs ? undefined : 'cross_site')
    })
  }

  describe('with a door', () => {
    const followed = { host: 'localhost:6060', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
    const visits: [what: string, request: object, isWelcome: boolean][] = [
      ['a link to the door', {}, true],
      ['a link to anything else', { path: '/config' }, false],
      ['a form that is sent to the door', { method: 'POST' }, false],
      ['a form that says its origin', { headers: { ...followed, origin: 'null' } }, false],
      ['a frame', { headers: { ...followed, 'sec-fetch-dest': 'iframe' } }, false],
      ['a script', { headers: { ...followed, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' } }, false],
      ['a link by another host name', { headers: { ...followed, host: 'rebound.example' } }, false],
    ]
    for (const [what, request, isWelcome] of visits) {
      it(`${isWelcome ? 'opens' : 'does not open'} it for ${what}`, () => {
        const door = requireOperator('', ['/'])
        const all = { method: 'GET', path: '/', headers: followed, ...request } as unknown as Request
        let isIn = false
        const enter = () =>
          door(all, {} as Response, () => {
            isIn = true
          })
        if (isWelcome) enter()
        else assert.throws(enter, HttpProblem)
        assert.equal(isIn, isWelcome)
      })
    }
  })
})
