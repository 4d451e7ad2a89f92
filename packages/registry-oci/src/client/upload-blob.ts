import { createHash } from 'node:crypto';
import {
  type BlobUpload,
  type Call,
  CygniError,
  isCygniError,
  type RepositoryLocation,
} from '@cygni/core';
import type { ImageClientSettings } from '../options.ts';
import { assertDigest } from '../reference.ts';
import { fromCaller, inChunksOf, SourceFailure, wrongContent } from './chunks.ts';
import { endpointOf } from './endpoint.ts';
import { discard } from './exchange.ts';
import { isResponseFailure } from './response-failure.ts';
import type { Retry } from './retry.ts';
import { pushScope } from './scopes.ts';
import type { Send } from './send.ts';
import { begin, cancel, nextUrl, type Session, withDigest } from './upload-session.ts';

type Sizes = Pick<ImageClientSettings, 'monolithicBytes' | 'chunkBytes'>;

/** Uploads a blob unless the registry has it. A try that fails for a passing reason is begun again from `open()`. */
export async function putBlob(
  send: Send,
  retry: Retry,
  sizes: Sizes,
  location: RepositoryLocation,
  blob: BlobUpload,
  call: Call,
): Promise<void> {
  assertDigest(blob.digest);
  const { repository } = endpointOf(location);
  const scopes = [pushScope(repository)];
  const what = `push of blob ${location.host}/${location.repository}@${blob.digest}`;
  const present = await retry(what, call, () => hasBlob(send, location, blob.digest, scopes, call));
  if (present) return;

  try {
    await retry(what, call, async () => {
      const session = await begin(send, location, 'blobs/uploads/', scopes, call);
      try {
        if (blob.sizeBytes <= sizes.monolithicBytes) await sendWhole(session);
        else await sendChunks(session);
      } catch (error) {
        if (isCygniError(error) || error instanceof SourceFailure) {
          await cancel(send, location, session.url, scopes, call);
        }
        throw error;
      }
    });
  } catch (error) {
    throw unwrapSource(error);
  }

  async function sendWhole(session: Session): Promise<void> {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const bytes of fromCaller(blob.open())) {
      size += bytes.byteLength;
      if (size > blob.sizeBytes) throw wrongContent(blob.digest, blob.sizeBytes);
      parts.push(bytes);
    }
    const body = Buffer.concat(parts);
    const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
    if (size !== blob.sizeBytes || digest !== blob.digest) {
      throw wrongContent(blob.digest, blob.sizeBytes);
    }
    await finish(session.url, body);
  }

  async function sendChunks(session: Session): Promise<void> {
    const hash = createHash('sha256');
    let { url } = session;
    let sent = 0;
    const size = Math.max(sizes.chunkBytes, session.minimumChunkBytes);
    for await (const chunk of inChunksOf(size, fromCaller(blob.open()))) {
      const end = sent + chunk.byteLength;
      if (end > blob.sizeBytes) throw wrongContent(blob.digest, blob.sizeBytes);
      hash.update(chunk);
      const response = await send(
        {
          location,
          method: 'PATCH',
          target: url,
          headers: {
            'content-type': 'application/octet-stream',
            'content-range': `${sent}-${end - 1}`,
          },
          body: chunk,
          scopes,
          expect: [202, 204],
        },
        call,
      );
      await discard(response);
      url = nextUrl(response, url, location);
      sent = end;
    }
    if (sent !== blob.sizeBytes || `sha256:${hash.digest('hex')}` !== blob.digest) {
      throw wrongContent(blob.digest, blob.sizeBytes);
    }
    await finish(url, new Uint8Array());
  }

  async function finish(url: URL, body: Uint8Array): Promise<void> {
    const response = await send(
      {
        location,
        method: 'PUT',
        target: withDigest(url, blob.digest),
        headers: { 'content-type': 'application/octet-stream' },
        body,
        scopes,
        expect: [201, 204],
      },
      call,
    );
    await discard(response);
  }
}

async function hasBlob(
  send: Send,
  location: RepositoryLocation,
  digest: string,
  scopes: readonly string[],
  call: Call,
): Promise<boolean> {
  try {
    const response = await send(
      {
        location,
        method: 'HEAD',
        target: `blobs/${digest}`,
        scopes,
        // A redirect to where the content is says enough; signed addresses often allow GET only.
        expect: [200, 301, 302, 303, 307, 308],
      },
      call,
    );
    await discard(response);
    return true;
  } catch (error) {
    if (isResponseFailure(error, 404)) return false;
    throw error;
  }
}

function unwrapSource(error: unknown): unknown {
  const source =
    isCygniError(error) && error.cause instanceof SourceFailure ? error.cause : undefined;
  if (source === undefined) return error;
  return isCygniError(source.cause)
    ? source.cause
    : new CygniError('internal', source.message, { cause: source.cause });
}
