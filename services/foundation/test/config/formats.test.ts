import assert from 'node:assert/strict'
import type { FormatName } from '../../config/formats.ts'
import { type Setting, setting } from '../../config/schema.ts'
import { Settings } from '../../config/settings.ts'

const KEY = 'A'.repeat(32)
const KEY_OF_ALL = '+/aZ09'.repeat(6)
const MAX_INTEGER = 2 ** 31 - 1

/** What each format takes and refuses, written as text. */
const FORMATS: [format: FormatName, taken: unknown[], refused: unknown[]][] = [
  ['tcp-port', [0, 65_535], [-1, 65_536, 1.5, '', '80x', 'x80', '1e3', ' 80']],
  ['count', [1, MAX_INTEGER], [0, -1, MAX_INTEGER + 1, 1.5]],
  ['integer', [0, MAX_INTEGER], [-1, MAX_INTEGER + 1, 0.5]],
  ['seconds', [0.25, 315_360_000], [0, -1, 315_360_001, '.5', '1.', '1.5s', '1x5']],
  ['ratio', [0, 0.125, 1], [-0.1, 1.01]],
  ['text', ['', 'any thing', '12'], []],
  ['host', ['::1', 'db-1.example_x'], ['', 'a b', ' a', 'a ', 'a/b']],
  ['host-names', ['', 'a.example  b-c'], ['a:80', '/a', 'a/']],
  ['switch', [true, false], ['', 'yes', 'TRUE', '1']],
  [
    'webhook-secrets',
    ['', `whsec_${KEY}`, `${KEY_OF_ALL}==`, ` ${KEY}  ${'B'.repeat(88)} `],
    [' ', 'A'.repeat(31), 'A'.repeat(89), `${KEY}===`, `${KEY}-`, `x whsec_${KEY}`, `whsec_${KEY} x`, `-whsec_${KEY}`, `${KEY}=A`],
  ],
  ['http-url', ['http://x/', 'https://x'], ['', 'x', 'ftp://x/', 'http://a@x/', 'http://:b@x/']],
  ['optional-http-url', ['', 'https://x'], ['x', 'http://a:b@x/']],
  [
    'postgres-url',
    ['postgres://db/x', 'postgresql://u:%23%2F@db/x?user=a@b', 'postgresql://db/x?a=1&user=a@b&c=2', 'postgresql://db/x?host=/tmp'],
    [
      '',
      'http://db/x',
      'postgresql://db/x#a',
      'postgres://u:1/p@db',
      'postgres://u:1?p@db',
      'postgres://db/x?a=1&b=p@c',
      'postgres://u:%zz@d/x',
    ],
  ],
  ['optional-postgres-url', ['', 'postgresql://db/x'], ['x', 'postgresql://db/x#a']],
]

describe('a setting', () => {
  /** @throws {ConfigError} the text is refused */
  function read(format: FormatName, text: string): Settings<{ x: Setting<unknown> }> {
    const schema = { x: setting<unknown>({ doc: 'A setting.', format, default: null, hot: true }) }
    return new Settings(schema, { argv: [`--x=${text}`], env: {} })
  }

  for (const [format, taken, refused] of FORMATS) {
    for (const value of taken) {
      it(`of the format ${format} takes ${JSON.stringify(value)}`, () => {
        assert.deepEqual(read(format, String(value)).current, { x: value })
      })
    }
    for (const value of refused) {
      it(`of the format ${format} refuses ${JSON.stringify(value)}, and quotes it`, () => {
        const quoted = value === '' || value === 0 ? '' : `: value was ${JSON.stringify(value).slice(0, 60)}`
        assert.throws(
          () => read(format, String(value)),
          ({ message }: Error) => /^x: must be [^:]/.test(message) && message.includes(quoted),
        )
      })
    }
  }

  const others: [format: FormatName, text: string, other: unknown][] = [
    ['text', 'a', 5],
    ['host', 'h', 5],
    ['host-names', 'h', 5],
    ['webhook-secrets', '', 5],
    ['http-url', 'http://x', 5],
    ['postgres-url', 'postgres://x', 5],
    ['switch', 'true', 1],
    ['count', '1', true],
  ]
  for (const [format, text, other] of others) {
    it(`of the format ${format} refuses ${other}, which is of another kind`, () => {
      assert.throws(() => read(format, text).change({ x: other }), { message: new RegExp(`^x: must be .*: value was ${other}$`) })
    })
  }
})
