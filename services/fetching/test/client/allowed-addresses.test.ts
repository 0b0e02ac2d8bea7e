import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { promisify } from 'node:util'
import { AddressRefusedError, allowedLookup, isRefusedAddress, isRefusedHost } from '../../client/allowed-addresses.ts'

const REFUSED_URLS = [
  'http://169.254.169.254/latest/meta-data/',
  'http://2852039166/',
  'http://0xA9FEA9FE/',
  'http://0251.0376.0251.0376/',
  'http://169.254.43518/',
  'http://169.254.169.254./',
  'http://１６９.254.169.254/',
  'https://169.254.0.1:8443/api',
  'http://100.100.100.200/',
  'http://168.63.129.16/',
  'http://192.0.0.192/',
  'http://0/',
  'http://0.1.2.3/',
  'http://224.0.0.1/',
  'http://239.255.255.255/',
  'http://255.255.255.255/',
  'http://[::]/',
  'http://[fe80::1]/',
  'http://[febf:ffff::1]/',
  'http://[fd00:ec2::254]/',
  'http://[fd00:ec2::23]/',
  'http://[fd00:0ec2:0:0:0:0:0:254]/',
  'http://[fd20:ce::254]/',
  'http://[ff02::1]/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://[::ffff:169.254.169.254]/',
  'http://[::ffff:0:a9fe:a9fe]/',
  'http://[::ffff:0.0.0.0]/',
  'http://[64:ff9b::a9fe:a9fe]/',
  'http://[64:ff9b:1::169.254.1.1]/',
  'http://[2002:a9fe:a9fe::]/',
  'http://[2002:a9fe:a9fe:1::2]/',
  'http://[2002:6464:64c8::1]/',
]

const ALLOWED_URLS = [
  'http://127.0.0.1:9010/',
  'http://127.1/',
  'http://[::1]/',
  'http://10.0.0.1/',
  'http://172.16.0.1/',
  'http://192.168.1.1/',
  'http://[fd00::1]/',
  'http://[fd00:ec2::253]/',
  'http://[fec0::1]/',
  'http://1.0.0.0/',
  'http://169.253.255.255/',
  'http://169.255.0.0/',
  'http://100.100.100.201/',
  'http://192.0.0.193/',
  'http://223.255.255.255/',
  'http://255.255.255.254/',
  'http://[::ffff:7f00:1]/',
  'http://[64:ff9b::808:808]/',
  'http://[2002:808:808::1]/',
  'http://localhost/',
  'http://client-service:9010/',
  'http://169.254.169.254.example/',
  'http://metadata.google.internal/',
]

describe('the addresses of client services', () => {
  for (const url of REFUSED_URLS) it(`refuse ${url}`, () => assert.equal(isRefusedHost(new URL(url)), true))
  for (const url of ALLOWED_URLS) it(`allow ${url}`, () => assert.equal(isRefusedHost(new URL(url)), false))

  for (const address of ['fe80::1%eth0', 'fe80::1%25', '169.254.1.1']) {
    it(`refuse ${address}, as a resolver may write it`, () => assert.equal(isRefusedAddress(address), true))
  }

  it('are no host with a zone: a URL cannot have one', () => {
    for (const host of ['fe80::1%25eth0', 'fe80::1%eth0']) assert.throws(() => new URL(`http://[${host}]/`), { code: 'ERR_INVALID_URL' })
  })
})

describe('allowedLookup', () => {
  const METADATA = { address: '169.254.169.254', family: 4 }
  const MAPPED = { address: '::ffff:a9fe:a9fe', family: 6 }
  const LOOPBACK = { address: '127.0.0.1', family: 4 }
  const LOOPBACK6 = { address: '::1', family: 6 }

  const lookupIn = (found: readonly LookupAddress[]) => {
    const lookup = allowedLookup((_host, _options, callback) => callback(null, [...found]))
    return promisify<string, { all: boolean }, string | LookupAddress[]>((host, options, callback) => lookup(host, options, callback))
  }

  it('answers with the allowed addresses of a mix, in their order', async () => {
    const lookup = lookupIn([METADATA, LOOPBACK6, MAPPED, LOOPBACK])
    assert.deepEqual(await lookup('mixed.test', { all: true }), [LOOPBACK6, LOOPBACK])
  })

  it('answers with the first allowed address if it is asked for one', async () => {
    assert.equal(await lookupIn([METADATA, LOOPBACK])('mixed.test', { all: false }), '127.0.0.1')
  })

  for (const all of [true, false]) {
    it(`fails if all addresses are refused, ${all ? 'asked for all' : 'asked for one'}`, async () => {
      await assert.rejects(lookupIn([METADATA, MAPPED])('bad.test', { all }), AddressRefusedError)
    })
  }

  it('passes on the options and the error of the resolver', async () => {
    let asked: unknown
    const trouble = Object.assign(new Error('no such host'), { code: 'ENOTFOUND' })
    const lookup = allowedLookup((_host, options, callback) => {
      asked = options
      callback(trouble, [])
    })
    const [error] = await new Promise<unknown[]>(resolve => lookup('none.test', { family: 6, hints: 8 }, (...answer) => resolve(answer)))
    assert.equal(error, trouble)
    assert.deepEqual(asked, { family: 6, hints: 8, all: true })
  })

  it('asks the resolver of the system by default', async () => {
    const lookup = allowedLookup()
    const found = await new Promise(resolve => lookup('localhost', { all: true, family: 4 }, (_error, addresses) => resolve(addresses)))
    assert.deepEqual(found, [LOOPBACK])
  })
})
