import { type Call, CygniError, type RepositoryLocation } from '@cygni/core';
import { isTransient } from '../map-error.ts';
import { endpointOf } from './endpoint.ts';
import { discard, headerOf, type Response } from './exchange.ts';
import { isResponseFailure, ResponseFailure } from './response-failure.ts';
import { resolveUrl, type Send } from './send.ts';

/** A registry may ask for larger chunks, up to what this process wants to hold. */
const largestChunkBytes = 64 * 1024 * 1024;
const cancelWithinMs = 5000;

export interface Session {
  readonly url: URL;
  readonly minimumChunkBytes: number;
}

export async function begin(
  send: Send,
  location: RepositoryLocation,
  target: string,
  scopes: readonly string[],
  call: Call,
): Promise<Session> {
  const response = await send({ location, method: 'POST', target, scopes, expect: [202] }, call);
  await discard(response);
  const minimum = Number(headerOf(response, 'oci-chunk-min-length') ?? 0);
  if (!(minimum <= largestChunkBytes)) {
    throw new CygniError('unsupported', `the registry wants chunks of ${minimum} bytes`);
  }
  return {
    url: nextUrl(response, endpointOf(location).origin, location),
    minimumChunkBytes: minimum,
  };
}

/**
 * How much of an upload has arrived, and where it goes on. Undefined where the registry knows nothing of
 * it any more, or does not say exactly: `0-0` is written by some for nothing and by others for one byte.
 */
export async function progressOf(
  send: Send,
  location: RepositoryLocation,
  session: Session,
  scopes: readonly string[],
  call: Call,
): Promise<{ readonly session: Session; readonly offset: number } | undefined> {
  try {
    const response = await send(
      { location, method: 'GET', target: session.url, scopes, expect: [204] },
      call,
    );
    await discard(response);
    const last = Number(/^0-(\d{1,15})$/.exec(headerOf(response, 'range') ?? '')?.[1] ?? 0);
    if (last === 0) return undefined;
    const url = headerOf(response, 'location');
    return {
      session:
        url === undefined ? session : { ...session, url: resolveUrl(url, session.url, location) },
      offset: last + 1,
    };
  } catch (error) {
    if (isResponseFailure(error) && !isTransient(error)) return undefined;
    throw error;
  }
}

export function nextUrl(response: Response, base: URL, location: RepositoryLocation): URL {
  const header = headerOf(response, 'location');
  if (header === undefined) throw new ResponseFailure(502, [], undefined);
  return resolveUrl(header, base, location);
}

/** Registries drop abandoned sessions by themselves; this spares them the wait, and may fail. */
export async function cancel(
  send: Send,
  location: RepositoryLocation,
  target: URL,
  scopes: readonly string[],
  call: Call,
): Promise<void> {
  const signal = AbortSignal.any([call.signal, AbortSignal.timeout(cancelWithinMs)]);
  try {
    const response = await send(
      { location, method: 'DELETE', target, scopes, expect: [200, 202, 204] },
      { ...call, signal },
    );
    await discard(response);
  } catch (error) {
    call.log.debug({ reason: String(error) }, 'an upload session could not be cancelled');
  }
}

/** Appends to the query as it stands: to write it anew could break a signed address. */
export function withDigest(url: URL, digest: string): URL {
  const next = new URL(url);
  next.search = `${url.search}${url.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`;
  return next;
}
