import { isIP } from 'node:net';
import { CygniError } from '../errors.ts';
import { refuseAddress } from './refuse-address.ts';

/** Where a server connects to on behalf of whoever asks it to. */
export interface OutboundPolicy {
  /** Hosts of private networks, by name, as URLs give them and without a port: whoever runs the server vouches for them. */
  readonly allowedHosts: readonly string[];
  /** Let the allowed hosts be reached by plain http. */
  readonly allowHttp: boolean;
}

const maximumCharacters = 2_048;

const metadataNames: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
]);

/**
 * Looks at a URL before anything is asked of it: https, or http where the policy has it; no credentials; no address
 * that is refused. Of a name, the addresses are looked at by {@link resolveOutbound}.
 * @param pointer of the input's field, for the error
 * @throws `invalid_input`, which does not repeat the URL
 */
export function parseOutboundUrl(text: string, policy: OutboundPolicy, pointer: string): URL {
  const refuse = (message: string) =>
    new CygniError('invalid_input', `${pointer} ${message}`, {
      issues: [{ pointer, code: 'refused_url', message }],
    });
  if (text.length > maximumCharacters) throw refuse(`is over ${maximumCharacters} characters`);
  const url = URL.parse(text);
  if (!url) throw refuse('is not a URL');
  const host = hostOf(url);
  const allowed = isAllowed(host, policy);
  const schemes = allowed && policy.allowHttp ? ['https:', 'http:'] : ['https:'];
  if (!schemes.includes(url.protocol)) throw refuse('must be https');
  if (url.username !== '' || url.password !== '') throw refuse('must not carry credentials');
  if (metadataNames.has(host)) throw refuse('names a metadata service');
  if (isIP(host) !== 0) {
    const reason = refuseAddress(host, { allowPrivate: allowed });
    if (reason) throw refuse(`names an address that ${reason}`);
  }
  return url;
}

/** The host of a URL as DNS and sockets take it: no brackets, no final dot. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

export function isAllowed(host: string, { allowedHosts }: OutboundPolicy): boolean {
  return allowedHosts.some((each) => each.toLowerCase() === host);
}
