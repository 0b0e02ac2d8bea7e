import assert from 'node:assert/strict'
import { Settings } from '#foundation/config.ts'
import { contradictionIn, schema } from '../config.ts'

describe('the settings of the callback service', () => {
  const read = (clientServiceUrl: string) =>
    new Settings(schema, {
      argv: [],
      env: { DATABASE_URL: 'postgresql://localhost/test', CLIENT_SERVICE_URL: clientServiceUrl },
      check: contradictionIn,
    }).current

  it('take a client service below a path', () => {
    assert.equal(read('http://host/api/').clientService.url, 'http://host/api/')
  })

  for (const url of ['http://host/api?key=1', 'http://host/api#part', 'http://host?']) {
    it(`refuse a client service with a query or a fragment: ${url}`, () => {
      assert.throws(() => read(url), { message: /^clientService\.url has a query or a fragment/ })
    })
  }
})
