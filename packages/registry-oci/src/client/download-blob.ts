import { createHash } from 'node:crypto';
import { abortedError, type Call, CygniError, type RepositoryLocation } from '@cygni/core';
import { isTransient, mapError } from '../map-error.ts';
import { assertDigest } from '../reference.ts';
import { endpointOf } from './endpoint.ts';
import type { Response } from './exchange.ts';
import type { Pulls } from './mirrors.ts';
import { pullScope } from './scopes.ts';
import type { Send } from './send.ts';

/**
 * Opens a blob and returns its verified stream. A connection that breaks on the way is picked up
 * where it broke, at most `resumptions` times, be it at another mirror.
 */
export async function getBlob(
  send: Send,
  pulls: Pulls,
  resumptions: number,
  location: RepositoryLocation,
  digest: string,
  call: Call,
): Promise<AsyncIterable<Uint8Array>> {
  assertDigest(digest);
  const what = `blob ${location.host}/${location.repository}@${digest}`;

  const sources = new Set<RepositoryLocation>();
  const openAt = (offset: number): Promise<Response> =>
    pulls.read(what, location, call, async (source) => {
      const response = await send(
        {
          location: source,
          method: 'GET',
          target: `blobs/${digest}`,
          ...(offset === 0 ? {} : { headers: { range: `bytes=${offset}-` } }),
          scopes: [pullScope(endpointOf(source).repository)],
          expect: offset === 0 ? [200] : [200, 206],
        },
        call,
      );
      sources.add(source);
      return response;
    });

  return verified(await openAt(0));

  async function* verified(first: Response): AsyncGenerator<Uint8Array, void, undefined> {
    const hash = createHash('sha256');
    let received = 0;
    let left = resumptions;
    let response = first;
    for (;;) {
      // A server that ignores Range starts from the beginning again.
      let surplus = response.statusCode === 200 ? received : 0;
      try {
        for await (const chunk of response.body) {
          if (call.signal.aborted) throw abortedError(call.signal);
          let bytes: Buffer = chunk;
          if (surplus > 0) {
            const skipped = Math.min(surplus, bytes.byteLength);
            surplus -= skipped;
            bytes = bytes.subarray(skipped);
          }
          if (bytes.byteLength === 0) continue;
          hash.update(bytes);
          received += bytes.byteLength;
          yield bytes;
        }
        break;
      } catch (error) {
        if (call.signal.aborted || left === 0 || !isTransient(error)) {
          throw mapError(error, what, call.signal);
        }
        left -= 1;
        for (const source of sources) pulls.avoid(source);
        call.log.debug({ received }, `${what}: the connection broke, going on`);
      }
      response = await openAt(received);
    }
    const actual = `sha256:${hash.digest('hex')}`;
    if (actual !== digest) {
      for (const source of sources) pulls.avoid(source);
      throw new CygniError('integrity', `${what} is really ${actual}`);
    }
  }
}
