import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError, helpText, setting, settingRows } from '../../config/schema.ts'
import { Settings, type SettingsOptions } from '../../config/settings.ts'
import { DATABASE_URL, schema } from '../test-settings.ts'

describe('Settings', () => {
  let folder: string

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'settings-'))
  })

  after(() => rmSync(folder, { recursive: true }))

  interface Given {
    readonly file?: string
    readonly env?: Readonly<Record<string, string>>
    readonly flags?: readonly string[]
    readonly check?: SettingsOptions<typeof schema>['check']
  }

  function read({ file, env = { DATABASE_URL }, flags = [], check }: Given = {}): Settings<typeof schema> {
    const argv = [...flags]
    if (file !== undefined) {
      const path = join(folder, 'settings.json')
      writeFileSync(path, file)
      argv.push(`--config=${path}`)
    }
    return new Settings(schema, { argv, env, check })
  }

  function refusal(given: Given): string {
    try {
      read(given)
    } catch (error) {
      assert.ok(error instanceof ConfigError, `${error}`)
      return error.message
    }
    return assert.fail('expected a refusal')
  }

  describe('come from', () => {
    it('their defaults if nothing is given', () => {
      assert.deepEqual(read().current, {
        http: { port: 8080, host: '0.0.0.0' },
        database: { url: DATABASE_URL },
        zipkin: { url: '' },
        fetch: { timeoutMs: 1000, retries: 2 },
        sample: { ratio: 1 },
        log: { level: 'info' },
        emit: false,
      })
    })

    it('defaults < file < environment < command line', () => {
      const file = JSON.stringify({ http: { port: 1 }, fetch: { timeoutMs: 1, retries: 1 }, sample: { ratio: 0.5 } })
      const env = { DATABASE_URL, HTTP_PORT: '2', FETCH_TIMEOUT_MS: '2', ZIPKIN_URL: 'http://zipkin:9411/' }
      const { http, fetch, sample, zipkin } = read({ file, env, flags: ['--http-port=3'] }).current
      assert.deepEqual(
        { http, fetch, sample, zipkin },
        {
          http: { port: 3, host: '0.0.0.0' },
          fetch: { timeoutMs: 2, retries: 1 },
          sample: { ratio: 0.5 },
          zipkin: { url: 'http://zipkin:9411/' },
        },
      )
    })

    it('text that is used as it is written', () => {
      const { http, emit } = read({ flags: ['--http-host=1.10', '--emit=true'] }).current
      assert.deepEqual([http.host, emit], ['1.10', true])
    })
  })

  describe('are refused:', () => {
    const refused: [what: string, given: Given, sentence: RegExp][] = [
      ['an unknown flag', { flags: ['--nope=1'] }, /'--nope' \(--help lists them all\)$/],
      ['a flag without a value', { flags: ['--http-port'] }, /--http-port.* argument missing/],
      ['a bare word', { flags: ['start'] }, /^an argument is not of the form --setting=value \(--help lists them all\)$/],
      ['a value of which 64 characters are quoted', { flags: [`--http-port=${'1'.repeat(100)}x`] }, /value was "1{63}…$/],
      ['a number with letters', { flags: ['--http-port=12abc'] }, /^http\.port: must be an integer from 0 to 65535: value was "12abc"$/],
      ['a hexadecimal number', { flags: ['--http-port=0x10'] }, /^http\.port: must be/],
      ['an exponent', { flags: ['--fetch-timeout-ms=1e3'] }, /^fetch\.timeoutMs: must be an integer from 1/],
      ['a fraction for an integer', { flags: ['--fetch-retries=1.5'] }, /^fetch\.retries: must be an integer from 0/],
      ['a number out of range', { flags: ['--sample-ratio=1.01'] }, /^sample\.ratio: must be a number from 0 to 1/],
      ['an empty number', { env: { DATABASE_URL, HTTP_PORT: '' } }, /^http\.port: must be/],
      ['an empty flag', { flags: ['--http-port='] }, /^http\.port: must be/],
      ['an empty host, which would listen on every address', { env: { DATABASE_URL, HTTP_HOST: '' } }, /^http\.host: must be/],
      ['yes for true', { flags: ['--emit=yes'] }, /^emit: must be true or false: value was "yes"$/],
      ['a name that every object has', { flags: ['--emit=constructor'] }, /^emit: must be true or false: value was "constructor"$/],
      ['a value that is not in the list', { flags: ['--log-level=loud'] }, /^log\.level: .*\["info","warn"\]: value was "loud"$/],
      ['a URL of another protocol', { flags: ['--zipkin-url=ftp://x/'] }, /^zipkin\.url: must be an http or https URL/],
      [
        'a URL with a password',
        { flags: ['--zipkin-url=http://a:b@x/'] },
        /^zipkin\.url: must be an http or https URL without credentials/,
      ],
      [
        'null in the file for what has a default',
        { file: '{"fetch":{"timeoutMs":null}}' },
        /^fetch\.timeoutMs: must be an integer from 1$/,
      ],
      ['an unknown key in the file', { file: '{"http":{"prot":1}}' }, /settings\.json: there is no setting http\.prot$/],
      ['an unknown group in the file', { file: '{"htpp":{}}' }, /there is no setting htpp$/],
      ['a dotted key in the file', { file: '{"http.port":1}' }, /there is no setting http\.port$/],
      ['a value for a group in the file', { file: '{"http":5}' }, /http is a group/],
      ['a group for a value in the file', { file: '{"http":{"port":{"a":{"b":1}}}}' }, /http\.port: must be one value$/],
      ['__proto__ in the file', { file: '{"__proto__":{"http":{"port":1}}}' }, /there is no setting __proto__$/],
      ['a file that is a list', { file: '[]' }, /settings must be a JSON object$/],
      ['a file that is null', { file: 'null' }, /settings must be a JSON object$/],
      ['a file that is not JSON', { file: '{' }, /^cannot use the settings in .*settings\.json: /],
      ['a file that is not there', { flags: ['--config=/nowhere'] }, /^cannot use the settings in \/nowhere: ENOENT/],
      ['no value for what is required', { env: {} }, /^database\.url is required: set DATABASE_URL or --database-url=\.\.\.$/],
      ['what contradicts itself', { check: () => 'a is above b' }, /^a is above b$/],
    ]
    for (const [what, given, sentence] of refused) {
      it(what, () => assert.match(refusal(given), sentence))
    }

    it('all wrong values at once, one line each', () => {
      const lines = refusal({ env: { HTTP_PORT: 'x', EMIT: 'x' } }).split('\n')
      assert.deepEqual(lines.map(line => line.split(/[ :]/)[0]).toSorted(), ['database.url', 'emit', 'http.port'])
    })

    it('a secret that is wrong, without printing it', () => {
      assert.match(refusal({ env: { DATABASE_URL: 'mysql://u:hunter2@h/db' } }), /^database\.url: must be a postgresql:\/\/ URL/)
    })

    for (const password of [
      'hunter#2',
      'hunter/2',
      'hunter?2',
      '12#hunter',
      '12/hunter',
      '12?hunter',
      '12?hunter=2',
      '1/2?hunter=2',
      'a@b?hunter=2',
      'hunter%2',
      'hunter%zz',
    ]) {
      it(`the password ${password} in a URL, saying how it is written`, () => {
        const sentence = refusal({ env: { DATABASE_URL: `postgresql://reader:${password}@db.example/answerback` } })
        assert.match(sentence, /in its user name and password %, #, \/ and \? are written %25, %23, %2F and %3F$/)
        assert.ok(!sentence.includes('hunter'))
        assert.doesNotThrow(() =>
          read({ env: { DATABASE_URL: `postgresql://reader:${encodeURIComponent(password)}@db.example/answerback` } }),
        )
      })
    }

    it('a secret in the place of a setting, without printing it', () => {
      assert.ok(!refusal({ flags: ['--database-url', DATABASE_URL, 'hunter2'] }).includes('hunter2'))
    })

    it('no URL because of an @ in its query', () => {
      const url = 'postgresql://db.example/answerback?user=reader@tenant'
      assert.equal(read({ env: { DATABASE_URL: url } }).current.database.url, url)
    })
  })

  it('cannot be changed from outside, at any depth', () => {
    const { current } = read()
    assert.throws(() => Object.assign(current, { emit: true }), TypeError)
    assert.throws(() => Object.assign(current.fetch, { timeoutMs: 1 }), TypeError)
  })

  describe('as they are shown', () => {
    const masked: [what: string, url: string, shown: string][] = [
      ['the password of a database URL', DATABASE_URL, 'postgresql://reader:***@db.example:5433/answerback'],
      ['a password in its query', 'postgresql:///db?host=/tmp&password=hunter2', 'postgresql:///db?host=%2Ftmp&password=***'],
      ['a password of a key', 'postgresql://db/x?sslpassword=hunter2', 'postgresql://db/x?sslpassword=***'],
      ['nothing of a URL without a password', 'postgresql://reader@db/x', 'postgresql://reader@db/x'],
    ]
    for (const [what, url, shown] of masked) {
      it(`hide ${what}`, () => {
        const settings = read({ env: { DATABASE_URL: url } })
        assert.deepEqual(settings.masked(), { ...settings.current, database: { url: shown } })
        assert.equal(settings.current.database.url, url)
      })
    }

    it('distinguish an empty secret from one that is set', () => {
      const secrets = { token: setting<string>({ doc: 'A secret.', format: 'text', default: '', secret: true }) }
      const shown = (token: string): object => new Settings(secrets, { argv: [], env: { TOKEN: token } }).masked()
      assert.deepEqual([shown(''), shown('hunter2')], [{ token: '' }, { token: '***' }])
    })
  })
})

describe('helpText', () => {
  it('lists every setting: flag, variable, default or that it is required, and what it means', () => {
    const text = helpText('node main.ts', schema)
    for (const row of settingRows(schema)) {
      const fallback = row.default === null ? 'required' : `default ${JSON.stringify(row.default)}`
      const hot = row.hot ? '; changeable while running' : ''
      assert.ok(text.includes(`  ${row.flag}=...  (${row.env}; ${fallback}${hot})\n      ${row.doc}\n`), row.path)
    }
    assert.match(text, /^Usage: node main\.ts/)
    assert.match(text, /--config=FILE/)
  })
})
