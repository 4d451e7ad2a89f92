import ipaddr from 'ipaddr.js';

const publicRanges: readonly string[] = ['unicast'];
const privateRanges: readonly string[] = ['private', 'loopback', 'uniqueLocal', 'carrierGradeNat'];

/** Where clouds tell a machine its secrets, beside the link-local ranges, which are refused as a whole. */
const metadataAddresses: ReadonlySet<string> = new Set(
  ['100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd00:ec2::254', 'fd20:ce::254'].map(
    (address) => ipaddr.parse(address).toNormalizedString(),
  ),
);

/** All that is routed on the Internet. Beyond it are forms that carry an IPv4 address, which nobody would have looked at. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Why nobody may be made to connect to this address, or null. Private networks and the machine itself only where
 * `allowPrivate`; metadata services, link-local addresses and addresses within addresses (NAT64, 6to4, Teredo) never.
 */
export function refuseAddress(
  address: string,
  { allowPrivate }: { readonly allowPrivate: boolean },
): string | null {
  if (!ipaddr.isValid(address)) return 'is not an address';
  const parsed = ipaddr.process(address);
  if (metadataAddresses.has(parsed.toNormalizedString())) return 'is a metadata service';
  const range = parsed.range();
  if (allowPrivate && privateRanges.includes(range)) return null;
  if (!publicRanges.includes(range)) return `is not public (${range})`;
  if (parsed instanceof ipaddr.IPv6 && !parsed.match(globalUnicast)) return 'is not public';
  return null;
}
