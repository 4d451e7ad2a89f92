import { createHash } from 'node:crypto';
import type { BlobUpload, Call, RepositoryLocation } from '@cygni/core';
import { fromCaller, inChunksOf, wrongContent } from './chunks.ts';
import { discard } from './exchange.ts';
import type { Send } from './send.ts';
import { nextUrl, type Session } from './upload-session.ts';

/**
 * Sends what a session lacks: in one request, or in chunks where that is wanted. Reads the blob from
 * its beginning all the same, since only all of it shows whether it is the one that was announced.
 * @throws CygniError `integrity` if it is not
 */
export async function sendRest(
  send: Send,
  chunkBytes: number | undefined,
  location: RepositoryLocation,
  { session, offset }: { readonly session: Session; readonly offset: number },
  blob: BlobUpload,
  scopes: readonly string[],
  call: Call,
): Promise<Session> {
  let { url } = session;
  let sent = offset;
  const rest = verifiedAfter(offset, blob);
  if (chunkBytes === undefined) {
    await patch(rest, blob.sizeBytes - offset);
  } else {
    const size = Math.max(chunkBytes, session.minimumChunkBytes);
    for await (const chunk of inChunksOf(size, rest)) await patch(chunk, chunk.byteLength);
  }
  return { ...session, url };

  async function patch(
    body: Uint8Array | AsyncIterable<Uint8Array>,
    length: number,
  ): Promise<void> {
    // Whole blobs go without a range, because some registries know none.
    const range =
      length === blob.sizeBytes ? {} : { 'content-range': `${sent}-${sent + length - 1}` };
    const response = await send(
      {
        location,
        method: 'PATCH',
        target: url,
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': String(length),
          ...range,
        },
        body,
        scopes,
        expect: [202, 204],
      },
      call,
    );
    await discard(response);
    url = nextUrl(response, url, location);
    sent += length;
  }
}

async function* verifiedAfter(
  offset: number,
  blob: BlobUpload,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash('sha256');
  let position = 0;
  for await (const bytes of fromCaller(blob.open())) {
    const end = position + bytes.byteLength;
    if (end > blob.sizeBytes) throw wrongContent(blob.digest, blob.sizeBytes);
    hash.update(bytes);
    if (end > offset) yield position >= offset ? bytes : bytes.subarray(offset - position);
    position = end;
  }
  if (position !== blob.sizeBytes || `sha256:${hash.digest('hex')}` !== blob.digest) {
    throw wrongContent(blob.digest, blob.sizeBytes);
  }
}
