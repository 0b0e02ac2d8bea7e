import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** IPv4 networks that no client service is in: the whole network, or one address. */
const REFUSED_IPV4 = [
  ['0.0.0.0', 8, 'this host'],
  ['169.254.0.0', 16, 'link-local, with the metadata service of most clouds'],
  ['100.100.100.200', 32, 'metadata service of Alibaba Cloud'],
  ['168.63.129.16', 32, 'metadata service of Azure'],
  ['192.0.0.192', 32, 'metadata service of Oracle Cloud'],
  ['224.0.0.0', 4, 'multicast'],
  ['255.255.255.255', 32, 'broadcast'],
] as const

const REFUSED_IPV6 = [
  ['::', 128, 'this host'],
  ['fe80::', 10, 'link-local'],
  ['fd00:ec2::254', 128, 'metadata service of AWS'],
  ['fd00:ec2::23', 128, 'credentials service of AWS'],
  ['fd20:ce::254', 128, 'metadata service of Google Cloud'],
  ['ff00::', 8, 'multicast'],
] as const

/**
 * IPv6 forms that lead to an IPv4 address: translated (RFC 2765), NAT64 (RFC 6052, RFC 8215) and 6to4 (RFC 3056). BlockList itself knows the
 * mapped form, ::ffff:0:0/96.
 */
const EMBEDDED_IPV4 = [
  ['::ffff:0:', '', 96],
  ['64:ff9b::', '', 96],
  ['64:ff9b:1::', '', 96],
  ['2002:', '::', 16],
] as const

/** Addresses that the service connects to only if `clientService.allowLinkLocal` is on. Loopback and private networks are not among them. */
const REFUSED = refusedAddresses()

/** An attempt to connect to a host that has refused addresses only. No connection was made. */
export class AddressRefusedError extends Error {
  readonly code = 'ADDRESS_REFUSED'

  constructor(host: string) {
    super(`${host} is a link-local, metadata, multicast or unspecified address`)
  }
}

/** Whether the host of a URL is a refused IP address. For a name it is false: `allowedLookup` checks what the name leads to. */
export function isRefusedHost({ hostname }: URL): boolean {
  return isRefusedAddress(hostname.replace(/[[\]]/g, ''))
}

/** Whether an IP address is refused. A text that is not an IP address is not. */
export function isRefusedAddress(address: string): boolean {
  const [bare = ''] = address.split('%', 1)
  const family = isIP(bare)
  return family !== 0 && REFUSED.check(bare, family === 4 ? 'ipv4' : 'ipv6')
}

type Resolve = (
  host: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/**
 * Makes a `lookup` for `net.connect` that leaves refused addresses out of the answer. The socket connects to what this function returns, so a
 * name cannot lead elsewhere after the check. If nothing is left, the connection fails with AddressRefusedError.
 * Node calls no `lookup` for an IP address: check it with `isRefusedHost`.
 */
export function allowedLookup(resolve: Resolve = lookup): LookupFunction {
  return (host, options, callback) => {
    resolve(host, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, [])
      const allowed = addresses.filter(({ address }) => !isRefusedAddress(address))
      const [first] = allowed
      if (!first) return callback(new AddressRefusedError(host), [])
      if (options.all) return callback(null, allowed)
      callback(null, first.address, first.family)
    })
  }
}

function refusedAddresses(): BlockList {
  const list = new BlockList()
  for (const [net, prefix] of REFUSED_IPV6) list.addSubnet(net, prefix, 'ipv6')
  for (const [net, prefix] of REFUSED_IPV4) {
    list.addSubnet(net, prefix, 'ipv4')
    for (const [before, after, bits] of EMBEDDED_IPV4) list.addSubnet(`${before}${inHex(net)}${after}`, bits + prefix, 'ipv6')
  }
  return list
}

/** `169.254.0.0` as `a9fe:0`, for the inside of an IPv6 address. */
function inHex(address: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number)
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
}
