import { randomUUID } from 'node:crypto';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import {
  abortedError,
  type Call,
  type PutOptions,
  parseArtifactKey,
  receiveArtifact,
  type StoredArtifact,
} from '@cygni/core';
import type { Bucket } from './bucket.ts';
import { uploadParts } from './multipart.ts';
import { createPartBuffers, partsOf } from './parts.ts';
import { decide, type Write } from './write.ts';

/** The smallest that S3 takes. An upload holds three of them: two on their way and the one being filled. */
const partBytes = 5 * 1024 ** 2;
/** S3's own limit. */
const maximumParts = 10_000;

/**
 * Streams a body into the bucket: small ones in one request, others in parts. Each request carries a checksum
 * that the store verifies, and the object appears only once all of it is there.
 *
 * Not lib-storage's `Upload`: when a part fails it reads and uploads the rest of the body before it gives up,
 * and when it is aborted it does not wait for its own parts, so that some arrive after the upload was removed.
 */
export async function upload(
  bucket: Bucket,
  key: string,
  body: AsyncIterable<Uint8Array>,
  options: PutOptions,
  outer: Call,
): Promise<StoredArtifact> {
  const write: Write = {
    Bucket: bucket.name,
    Key: bucket.prefix + parseArtifactKey(key),
    Metadata: { 'cygni-write': randomUUID() },
    ...(options.ifAbsent ? { IfNoneMatch: '*' } : {}),
  };
  const what = `put of ${key}`;
  const maximumBytes = Math.min(options.maximumBytes, partBytes * maximumParts);
  // Also ends the reading of the body once a part has failed.
  const stop = new AbortController();
  const signal = AbortSignal.any([outer.signal, stop.signal]);
  const call: Call = { signal, log: outer.log };
  const incoming = receiveArtifact(body, { maximumBytes, signal });
  const buffers = createPartBuffers(partBytes);
  const parts = partsOf(incoming.chunks, buffers);
  try {
    const { value: first } = await parts.next();
    if (first?.last) {
      await storeWhole(bucket, write, first.buffer.subarray(0, first.sizeBytes), what, call);
    } else if (first) {
      await uploadParts({ bucket, write, first, parts, buffers, what, call, stop });
    }
    return { key, ...incoming.measure() };
  } catch (error) {
    throw outer.signal.aborted ? abortedError(outer.signal) : error;
  } finally {
    await parts.return(undefined);
  }
}

async function storeWhole(
  bucket: Bucket,
  write: Write,
  body: Buffer,
  what: string,
  call: Call,
): Promise<void> {
  const command = { ...write, ...bucket.encryption, Body: body, ContentLength: body.byteLength };
  await decide(bucket, write, what, call, () =>
    bucket.client.send(new PutObjectCommand(command), { abortSignal: call.signal }),
  );
}
