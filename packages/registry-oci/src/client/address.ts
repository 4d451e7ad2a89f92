import { BlockList, isIP } from 'node:net';

export type AddressKind = 'metadata' | 'private' | 'public';

/** Where clouds hand out the credentials of the machine itself, in every spelling that leads there (RFC 6052 for 64:ff9b::/96). */
const metadata = new BlockList();
metadata.addSubnet('169.254.0.0', 16, 'ipv4');
metadata.addAddress('100.100.100.200', 'ipv4');
metadata.addAddress('192.0.0.192', 'ipv4');
metadata.addSubnet('fe80::', 10, 'ipv6');
metadata.addAddress('fd00:ec2::254', 'ipv6');
metadata.addAddress('fd20:ce::254', 'ipv6');
metadata.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');
metadata.addAddress('64:ff9b::6464:64c8', 'ipv6');

/** Not routed on the public Internet (IANA's special-purpose registries), or leading to what is not. */
const local = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  local.addSubnet(network, prefix, 'ipv4');
}
for (const [network, prefix] of [
  ['::', 127],
  ['::', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['2002::', 16],
  ['fc00::', 7],
  ['ff00::', 8],
] as const) {
  local.addSubnet(network, prefix, 'ipv6');
}

/** @param address an IP address; anything else counts as `metadata`, because nobody can say what it is */
export function kindOfAddress(address: string): AddressKind {
  const family = isIP(address);
  if (family === 0) return 'metadata';
  // Addresses of IPv4 in the clothes of IPv6 (::ffff:…) are found by either list.
  const type = family === 4 ? 'ipv4' : 'ipv6';
  if (metadata.check(address, type)) return 'metadata';
  return local.check(address, type) ? 'private' : 'public';
}
