import { lookup as dnsLookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { CygniError } from '../errors.ts';
import { settleOrAbort } from '../platform/settle-or-abort.ts';
import { hostOf, isAllowed, type OutboundPolicy } from './parse-outbound-url.ts';
import { refuseAddress } from './refuse-address.ts';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Every address of a name, as the system resolves it. */
export type Lookup = (host: string) => Promise<readonly { readonly address: string }[]>;

const systemLookup: Lookup = (host) => dnsLookup(host, { all: true });

/**
 * The addresses of a URL's host, each of which may be connected to. Connect to one of these and to no other: a name may
 * mean something else when it is asked for again.
 * @throws `forbidden` if any of them may not be connected to; `unavailable` if the name cannot be resolved; `aborted`
 */
export async function resolveOutbound(
  url: URL,
  policy: OutboundPolicy,
  {
    signal,
    lookup = systemLookup,
  }: { readonly signal: AbortSignal; readonly lookup?: Lookup | undefined },
): Promise<readonly [ResolvedAddress, ...ResolvedAddress[]]> {
  const host = hostOf(url);
  const addresses = isIP(host) === 0 ? await find(host, lookup, signal) : [host];
  for (const address of addresses) {
    const reason = refuseAddress(address, { allowPrivate: isAllowed(host, policy) });
    if (reason) throw new CygniError('forbidden', `the host has an address that ${reason}`);
  }
  const [first, ...others] = addresses.map((address) => ({
    address,
    family: isIP(address) === 6 ? (6 as const) : (4 as const),
  }));
  if (!first) throw new CygniError('unavailable', 'the host has no address');
  return [first, ...others];
}

async function find(host: string, lookup: Lookup, signal: AbortSignal): Promise<string[]> {
  try {
    const found = await settleOrAbort(lookup(host), signal);
    return found.map(({ address }) => address);
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new CygniError('unavailable', 'the host cannot be resolved', { cause });
  }
}
