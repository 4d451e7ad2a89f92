import { Readable } from 'node:stream';
import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import { type Call, CygniError, parseArtifactKey } from '@cygni/core';
import type { Bucket } from './bucket.ts';
import { mapError } from './map-error.ts';

interface Found {
  readonly key: string;
  readonly Key: string;
  readonly etag: string;
  readonly sizeBytes: number;
}

/**
 * Finds the artifact now and asks for its bytes when they are read: a body that nobody reads would keep one of
 * the client's connections for ever. A download that is cut goes on where it was, of the same object only.
 */
export async function download(
  bucket: Bucket,
  key: string,
  call: Call,
): Promise<AsyncIterable<Uint8Array>> {
  const Key = bucket.prefix + parseArtifactKey(key);
  const command = { Bucket: bucket.name, Key };
  const { ETag, ContentLength } = await bucket.retry(`get of ${key}`, call, () =>
    bucket.client.send(new HeadObjectCommand(command), { abortSignal: call.signal }),
  );
  if (ETag === undefined || ContentLength === undefined) {
    throw new CygniError('internal', `get of ${key}: the store tells no tag or no size`);
  }
  const found: Found = { key, Key, etag: ETag, sizeBytes: ContentLength };
  return {
    [Symbol.asyncIterator]() {
      // An early end must not wait for a chunk that may never come.
      const left = new AbortController();
      const chunks = read(bucket, found, { signal: left.signal, log: call.log });
      return {
        next: () => chunks.next(),
        async return() {
          left.abort();
          await chunks.return(undefined).catch(() => {});
          return { done: true, value: undefined };
        },
      };
    },
  };
}

async function* read(bucket: Bucket, found: Found, call: Call): AsyncGenerator<Uint8Array> {
  const what = `get of ${found.key}`;
  let body: Readable | undefined;
  let chunks: AsyncIterator<Uint8Array> | undefined;
  let at = 0;
  const next = async () => {
    try {
      if (!chunks) {
        body = await request(bucket, found, at, call);
        chunks = body[Symbol.asyncIterator]();
      }
      const result = await chunks.next();
      if (result.done && at < found.sizeBytes) {
        throw new CygniError('unavailable', `${what}: the answer ended too early`);
      }
      return result;
    } catch (error) {
      body?.destroy();
      chunks = undefined;
      const mapped = mapError(error, what, call.signal);
      // What was handed out already may be what is damaged.
      if (mapped.code === 'integrity' && at > 0) throw notToBeTrusted(what, mapped);
      if (mapped.retryable && at === found.sizeBytes) return { done: true } as const;
      throw mapped;
    }
  };
  try {
    for (;;) {
      // Also after the last byte: only the end tells whether the checksum is right.
      const result = await bucket.retry(what, call, next);
      if (result.done) return;
      at += result.value.byteLength;
      if (at > found.sizeBytes) throw notToBeTrusted(what);
      yield result.value;
    }
  } finally {
    body?.destroy();
  }
}

function notToBeTrusted(what: string, cause?: CygniError): CygniError {
  const options = { cause: cause?.cause, retryable: false };
  return new CygniError('integrity', `${what}: the bytes are not those that were stored`, options);
}

async function request(bucket: Bucket, found: Found, at: number, call: Call): Promise<Readable> {
  const { Body } = await bucket.client.send(
    new GetObjectCommand({
      Bucket: bucket.name,
      Key: found.Key,
      IfMatch: found.etag,
      ChecksumMode: 'ENABLED',
      ...(at === 0 ? {} : { Range: `bytes=${at}-` }),
    }),
    { abortSignal: call.signal },
  );
  if (!(Body instanceof Readable)) {
    throw new CygniError('internal', `get of ${found.key}: the answer has no body`);
  }
  return Body;
}
