import assert from 'node:assert/strict'
import { InvalidBodyError } from '../../../domain/json-body.ts'
import { NO_LIMITS, type Workspace } from '../../../domain/workspaces/workspace.ts'
import { changed, parseNewWorkspace, parseWorkspaceChanges, type WorkspaceChanges } from '../../../domain/workspaces/workspace-changes.ts'

const isAllowedUrl = (url: URL): boolean => url.hostname !== '169.254.169.254'
const change = (text: string): WorkspaceChanges => parseWorkspaceChanges(Buffer.from(text), isAllowedUrl)
const create = (text: string) => parseNewWorkspace(Buffer.from(text), isAllowedUrl)
const SECRET = `whsec_${'A'.repeat(32)}`

/** Requires that parsing fails with this code at this place. */
function refuses(parse: () => unknown, code: string, pointer?: string): void {
  assert.throws(parse, (error: InvalidBodyError) => {
    assert.ok(error instanceof InvalidBodyError, String(error))
    assert.deepEqual([error.code, error.pointer], [code, pointer])
    return true
  })
}

describe('parseWorkspaceChanges', () => {
  const accepted: [string, string, WorkspaceChanges][] = [
    ['nothing', '{}', {}],
    ['a description', '{"description":"Ä 😀"}', { description: 'Ä 😀' }],
    ['a description of 500 characters', `{"description":"${'😀'.repeat(500)}"}`, { description: '😀'.repeat(500) }],
    ['an http URL', '{"client_service_url":"http://shop"}', { clientServiceUrl: 'http://shop/' }],
    [
      'an https URL with a port and a path',
      '{"client_service_url":"https://shop:8443/v2/"}',
      { clientServiceUrl: 'https://shop:8443/v2/' },
    ],
    ['a URL, in its usual form', '{"client_service_url":"HTTP://Shop.Example:80/./a/../b"}', { clientServiceUrl: 'http://shop.example/b' }],
    ['a small ttl', '{"ttl_seconds":0.001}', { ttlSeconds: 0.001 }],
    ['a ttl of ten years', '{"ttl_seconds":315360000}', { ttlSeconds: 315_360_000 }],
    ['keep_offline', '{"keep_offline":false}', { keepOffline: false }],
    [
      'secrets with and without their prefix',
      `{"signing_secrets":["${SECRET}","${'b'.repeat(44)}="]}`,
      { signingSecrets: [SECRET, `${'b'.repeat(44)}=`] },
    ],
    ['no secrets', '{"signing_secrets":[]}', { signingSecrets: [] }],
    ['paused', '{"paused":true}', { isPaused: true }],
    ['the ends of the weight', '{"weight":1000}', { weight: 1000 }],
    ['an integer in another spelling', '{"weight":1e2}', { weight: 100 }],
    ['agents that fetch', '{"fetcher":"agents"}', { fetcher: 'agents' }],
    ['labels, each once', '{"agent_labels":["eu","site=7","eu"]}', { agentLabels: ['eu', 'site=7'] }],
    [
      'all limits',
      '{"limits":{"requests_per_second":0.5,"burst":1,"active_requests":2,"unfinished_callbacks":3,"body_bytes":4,"object_ids":5}}',
      {
        limits: { requestsPerSecond: 0.5, burst: 1, activeRequests: 2, unfinishedCallbacks: 3, bodyBytes: 4, objectIds: 5 },
      },
    ],
    ['one limit', '{"limits":{"burst":null}}', { limits: { burst: null } }],
    ['no limits', '{"limits":{}}', { limits: {} }],
    [
      'null, which is the setting of the service',
      '{"description":null,"client_service_url":null,"ttl_seconds":null,"keep_offline":null,"signing_secrets":null,"paused":null,"weight":null,"fetcher":null,"agent_labels":null,"limits":null}',
      {
        description: '',
        clientServiceUrl: null,
        ttlSeconds: null,
        keepOffline: null,
        signingSecrets: [],
        isPaused: false,
        weight: 1,
        fetcher: 'service',
        agentLabels: [],
        limits: NO_LIMITS,
      },
    ],
  ]
  for (const [what, text, expected] of accepted) it(`accepts ${what}`, () => assert.deepEqual(change(text), expected))

  const bodies: [string, string | Buffer, string, string?][] = [
    ['an empty body', '', 'empty_body'],
    ['white space', ' \n', 'empty_body'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'invalid_encoding'],
    ['NaN', '{"weight":NaN}', 'invalid_json'],
    ['Infinity', '{"weight":Infinity}', 'invalid_json'],
    ['two values', '{}{}', 'invalid_json'],
    ['an array', '[]', 'not_an_object', ''],
    ['null', 'null', 'not_an_object', ''],
    ['a member named twice', '{"paused":true,"paused":false}', 'duplicate_member', '/paused'],
    ['a member named twice by escapes', '{"paused":true,"p\\u0061used":false}', 'duplicate_member', '/paused'],
    ['a limit named twice', '{"limits":{"burst":1,"burst":2}}', 'duplicate_member', '/limits/burst'],
    ['33 levels', `{"x":${'['.repeat(32)}${']'.repeat(32)}}`, 'too_deep'],
    ['a name, which cannot change', '{"name":"x"}', 'unknown_member', '/name'],
    ['an unknown member', '{"a/b~":1}', 'unknown_member', '/a~1b~0'],
    ['a member called __proto__', '{"__proto__":{"weight":2}}', 'unknown_member', '/__proto__'],
    ['a member called constructor', '{"constructor":1}', 'unknown_member', '/constructor'],
    ['a member in another case', '{"Paused":true}', 'unknown_member', '/Paused'],
    ['an unknown limit', '{"limits":{"requests":1}}', 'unknown_member', '/limits/requests'],
  ]
  for (const [what, body, code, pointer] of bodies) {
    it(`refuses ${what}`, () => refuses(() => parseWorkspaceChanges(Buffer.from(body), isAllowedUrl), code, pointer))
  }

  it('says in words what a ttl must be', () =>
    assert.throws(() => parseWorkspaceChanges(Buffer.from('{"ttl_seconds":0}'), isAllowedUrl), {
      message: 'The value must be above 0 and at most 315360000.',
    }))

  const values: [member: string, code: string, ...values: string[]][] = [
    ['description', 'wrong_type', '1', '[]', '{}', 'true'],
    ['fetcher', 'wrong_type', '1', '[]', 'true'],
    ['fetcher', 'invalid_value', '""', '"Agents"', '"agent"', '"toString"'],
    ['agent_labels', 'wrong_type', '"eu"', '{}', '1'],
    ['agent_labels', 'out_of_range', JSON.stringify(Array.from({ length: 17 }, (_, i) => `l${i}`))],
    ['description', 'invalid_value', `"${'x'.repeat(501)}"`, '"a\\u0000b"', '"a\\nb"', '"\\u009f"', '"\\ud800"'],
    ['client_service_url', 'wrong_type', '1', '[]', '{}', 'false'],
    [
      'client_service_url',
      'invalid_value',
      ...[
        '',
        'shop',
        'http://',
        'ftp://shop',
        'file:///etc/passwd',
        'javascript:alert(1)',
        '//shop',
        'http:shop',
        'http:/shop',
        'http:\\\\\\\\shop',
      ],
      ...[
        'http://user@shop',
        'http://user:password@shop',
        'http://:password@shop',
        'http://shop?x=1',
        'http://shop?',
        'http://shop#x',
        'http://shop#',
      ],
      ...[
        ' http://shop',
        'http://shop ',
        'http://sh\\nop',
        'http://sh\\top',
        'http://shop\\u0000',
        'http://sh op',
        'http://shop:99999',
        'http://[::1',
      ],
      ...[
        'http://169.254.169.254/latest',
        'http://2852039166/',
        'http://0xa9.254.169.254/',
        `http://shop/${'x'.repeat(500)}`,
        `http://shop/${'ß'.repeat(400)}`,
      ],
    ].map((value, i) => (i < 2 ? value : `"${value}"`)) as [string, string, ...string[]],
    ['ttl_seconds', 'wrong_type', '"1"', 'true', '[1]'],
    ['ttl_seconds', 'out_of_range', '0', '-0', '-1', '1e308', '1e400', '-1e400', '315360000.1', '1e-400'],
    ['keep_offline', 'wrong_type', '"true"', '0', '1'],
    ['signing_secrets', 'wrong_type', `"${SECRET}"`, '{}', '1'],
    ['signing_secrets', 'out_of_range', JSON.stringify(Array.from({ length: 11 }, () => SECRET))],
    ['paused', 'wrong_type', '"yes"', '1', '[]'],
    ['weight', 'wrong_type', '"1"', 'true'],
    ['weight', 'out_of_range', '0', '-1', '1001', '1e308', '1e400', '0.5'],
    ['weight', 'not_an_integer', '1.5', '1.0000001'],
    ['limits', 'wrong_type', '1', '[]', '"none"'],
  ]
  for (const [member, code, ...texts] of values) {
    for (const text of texts) {
      it(`refuses ${member} ${text.slice(0, 50)}`, () => refuses(() => change(`{"${member}":${text}}`), code, `/${member}`))
    }
  }

  for (const text of ['""', '"short"', '"whsec_"', `"${SECRET} "`, `"${SECRET}\\n"`, `"${'A'.repeat(89)}"`, `"${'A'.repeat(31)}!"`]) {
    it(`refuses the secret ${text.slice(0, 50)}`, () =>
      refuses(() => change(`{"signing_secrets":["${SECRET}",${text}]}`), 'invalid_value', '/signing_secrets/1'))
  }

  it('refuses a secret that is not a text', () => refuses(() => change('{"signing_secrets":[null]}'), 'wrong_type', '/signing_secrets/0'))

  const limits: [limit: string, code: string, ...values: string[]][] = [
    ['requests_per_second', 'out_of_range', '0', '-1', '1e308', '1e400', '1000000.5', '0.0009'],
    ['burst', 'out_of_range', '0', '-1', '1000001', '1e308'],
    ['burst', 'not_an_integer', '1.5'],
    ...['active_requests', 'unfinished_callbacks', 'body_bytes', 'object_ids'].flatMap((limit): [string, string, ...string[]][] => [
      [limit, 'out_of_range', '0', '-1', '1000000001', '1e308', '1e400'],
      [limit, 'not_an_integer', '1.5'],
      [limit, 'wrong_type', '"1"', 'true', '[]', '{}'],
    ]),
  ]
  for (const [limit, code, ...texts] of limits) {
    for (const text of texts) {
      it(`refuses the limit ${limit} ${text}`, () => refuses(() => change(`{"limits":{"${limit}":${text}}}`), code, `/limits/${limit}`))
    }
  }
})

describe('parseNewWorkspace', () => {
  for (const name of ['a', 'Shop', '_', '-', '0', 'default', 'x'.repeat(64), '__proto__']) {
    it(`accepts the name ${name}`, () => assert.deepEqual(create(JSON.stringify({ name, weight: 2 })), { name, weight: 2 }))
  }

  for (const name of ['', 'x'.repeat(65), '..', '.', 'a.b', 'a/b', 'a b', 'a\0', 'a\n', 'shöp', 'ѕhop', 'a%2f', ' a', 'shop\u200b', 'ａ']) {
    it(`refuses the name ${JSON.stringify(name).slice(0, 20)}`, () =>
      refuses(() => create(JSON.stringify({ name })), 'invalid_value', '/name'))
  }

  for (const name of ['null', '1', '["a"]', '{}']) {
    it(`refuses the name ${name}, which is no text`, () => refuses(() => create(`{"name":${name}}`), 'wrong_type', '/name'))
  }

  it('needs a name', () => refuses(() => create('{"weight":2}'), 'missing_member', '/name'))
})

describe('changed', () => {
  it('merges limits one by one and leaves the rest', () => {
    const workspace = { name: 'shop', weight: 2, limits: { ...NO_LIMITS, burst: 1, objectIds: 2 } } as Workspace
    assert.deepEqual(changed(workspace, { isPaused: true, limits: { burst: null, bodyBytes: 3 } }), {
      ...workspace,
      isPaused: true,
      limits: { ...NO_LIMITS, objectIds: 2, bodyBytes: 3 },
    })
  })
})
