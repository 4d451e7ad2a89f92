import { createHash } from 'node:crypto';
import {
  type BlobUpload,
  type Call,
  CygniError,
  isCygniError,
  type RepositoryLocation,
  type Retry,
} from '@cygni/core';
import type { ImageClientSettings } from '../options.ts';
import { assertDigest } from '../reference.ts';
import { fromCaller, SourceFailure, wrongContent } from './chunks.ts';
import { endpointOf } from './endpoint.ts';
import { discard } from './exchange.ts';
import { isResponseFailure, ResponseFailure } from './response-failure.ts';
import { pushScope } from './scopes.ts';
import type { Send } from './send.ts';
import { sendRest } from './send-rest.ts';
import { begin, cancel, progressOf, type Session, withDigest } from './upload-session.ts';

type Sizes = Pick<ImageClientSettings, 'monolithicBytes' | 'chunkBytes'>;

/** Uploads a blob unless the registry has it. A try that fails for a passing reason goes on where the registry says that it has got to. */
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
  let session: Session | undefined;

  try {
    if (await retry(what, call, hasIt)) return;
    await retry(what, call, blob.sizeBytes <= sizes.monolithicBytes ? sendWhole : sendOn);
  } catch (error) {
    // Whoever may try again later would not find this session; a registry that is gone has dropped it.
    if (session && isCygniError(error) && !error.retryable) {
      await cancel(send, location, session.url, scopes, call);
    }
    throw unwrapSource(error);
  }

  function hasIt(): Promise<boolean> {
    return hasBlob(send, location, blob.digest, scopes, call);
  }

  async function sendWhole(): Promise<void> {
    session = await begin(send, location, 'blobs/uploads/', scopes, call);
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
    await finish(session, body);
  }

  async function sendOn(): Promise<void> {
    try {
      await transfer();
    } catch (error) {
      // A body that streams is not sent twice: the credentials are renewed by the question how far it got.
      if (!isResponseFailure(error, 401)) throw error;
      await transfer();
    }
  }

  async function transfer(): Promise<void> {
    let offset = 0;
    if (session) {
      const progress = await progressOf(send, location, session, scopes, call);
      // The answer to a push that succeeded may have been lost.
      if (!progress && (await hasIt())) return;
      session = progress?.session;
      offset = progress?.offset ?? 0;
    }
    session ??= await begin(send, location, 'blobs/uploads/', scopes, call);
    const from = { session, offset };
    try {
      session = await sendRest(send, sizes.chunkBytes, location, from, blob, scopes, call);
    } catch (error) {
      throw offset === 0 ? error : unlessOvertaken(error);
    }
    await finish(session, new Uint8Array());
  }

  async function finish({ url }: Session, body: Uint8Array): Promise<void> {
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

/** What a broken connection had still on its way may arrive after the registry was asked: it is asked again. */
function unlessOvertaken(error: unknown): unknown {
  if (!isResponseFailure(error, 409) && !isResponseFailure(error, 416)) return error;
  return new ResponseFailure(error.status, error.codes, error.retryAfterMs, true);
}

function unwrapSource(error: unknown): unknown {
  const source =
    isCygniError(error) && error.cause instanceof SourceFailure ? error.cause : undefined;
  if (source === undefined) return error;
  return isCygniError(source.cause)
    ? source.cause
    : new CygniError('internal', source.message, { cause: source.cause });
}
