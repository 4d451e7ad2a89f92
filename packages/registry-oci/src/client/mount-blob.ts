import type { Call, RepositoryLocation, Retry } from '@cygni/core';
import { assertDigest } from '../reference.ts';
import { endpointOf, siblingOf } from './endpoint.ts';
import { discard, headerOf } from './exchange.ts';
import { pullScope, pushScope } from './scopes.ts';
import { resolveUrl, type Send } from './send.ts';
import { cancel } from './upload-session.ts';

/** Asks the registry to take a blob over from another of its repositories. Returns whether it did. */
export async function mountBlob(
  send: Send,
  retry: Retry,
  location: RepositoryLocation,
  from: string,
  digest: string,
  call: Call,
): Promise<boolean> {
  assertDigest(digest);
  const { repository } = endpointOf(location);
  const source = siblingOf(location, from);
  const scopes = [pushScope(repository), pullScope(source)];
  const query = new URLSearchParams({ mount: digest, from: source });
  const what = `mount of blob ${location.host}/${location.repository}@${digest}`;
  return await retry(what, call, async () => {
    const target = `blobs/uploads/?${query}`;
    const response = await send(
      { location, method: 'POST', target, scopes, expect: [201, 202] },
      call,
    );
    await discard(response);
    if (response.statusCode === 201) return true;
    const header = headerOf(response, 'location');
    if (header !== undefined) {
      const url = resolveUrl(header, endpointOf(location).origin, location);
      await cancel(send, location, url, scopes, call);
    }
    return false;
  });
}
