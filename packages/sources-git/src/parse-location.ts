import type { GitLocation } from '@cygni/core';
import { type OutboundPolicy, parseOutboundUrl } from '@cygni/core/outbound';
import { refuse } from './map-error.ts';

/** Begins with neither `-`, which would be an option, nor `+` or `^`, and has nothing that a refspec gives a meaning. */
const refPattern = /^[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,254}$/;

/** @throws `invalid_input` with the pointer `/git/url` or `/git/ref` */
export function parseLocation(
  { url: text, ref }: GitLocation,
  policy: OutboundPolicy,
): { readonly url: URL; readonly ref: string } {
  const url = parseOutboundUrl(text, policy, '/git/url');
  // It is stored and shown: not a place for tokens.
  if (url.search !== '' || url.hash !== '') throw refuse('/git/url', 'must end with its path');
  if (ref === null) return { url, ref: 'HEAD' };
  const well = refPattern.test(ref) && !/\.\.|\/\/|@\{|\.lock$|[./]$/.test(ref);
  if (!well) throw refuse('/git/ref', 'must be the name of a branch or a tag, or a whole commit');
  return { url, ref };
}
