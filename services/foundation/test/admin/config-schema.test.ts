import assert from 'node:assert/strict'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { changesSchema } from '../../admin/config-schema.ts'
import { Settings } from '../../config/settings.ts'
import { DATABASE_URL, schema } from '../test-settings.ts'

describe('changesSchema', () => {
  const settings = (): Settings<typeof schema> => new Settings(schema, { argv: [], env: { DATABASE_URL } })
  const isDocumented = new Ajv2020({ strict: false }).compile(changesSchema(settings().rows))

  for (const changes of [
    {},
    { emit: true },
    { fetch: { timeoutMs: 5, retries: 0 }, sample: { ratio: 0.5 } },
    { log: { level: 'warn' }, emit: null },
    { fetch: { timeoutMs: 0 } },
    { fetch: { timeoutMs: 1.5 } },
    { sample: { ratio: 2 } },
    { log: { level: 'loud' } },
    { emit: 1 },
    { http: { port: 1 } },
    { database: { url: DATABASE_URL } },
    { nope: 1 },
    [],
  ]) {
    it(`says of ${JSON.stringify(changes)} what the settings say`, () => {
      let isTaken = true
      try {
        settings().change(changes)
      } catch {
        isTaken = false
      }
      assert.equal(isDocumented(changes), isTaken)
    })
  }
})
