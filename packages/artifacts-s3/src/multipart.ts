import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type Call, CygniError } from '@cygni/core';
import type { Bucket } from './bucket.ts';
import type { Part, PartBuffers } from './parts.ts';
import { decide, type Write } from './write.ts';

const partsAtOnce = 2;
const lastWordsMs = 10_000;

interface PartsUpload {
  readonly bucket: Bucket;
  readonly write: Write;
  readonly first: Part;
  readonly parts: AsyncIterable<Part>;
  readonly buffers: PartBuffers;
  readonly what: string;
  readonly call: Call;
  /** Aborts `call`. */
  readonly stop: AbortController;
}

/** Uploads in parts. Whatever ends it early, its requests are over and the upload is removed when it rejects. */
export async function uploadParts(upload: PartsUpload): Promise<void> {
  const { bucket, write, what, call } = upload;
  const { Bucket, Key } = write;
  const checksums = await bucket.client.config.requestChecksumCalculation();
  const { UploadId } = await bucket.retry(what, call, () =>
    bucket.client.send(
      new CreateMultipartUploadCommand({
        Bucket,
        Key,
        Metadata: write.Metadata,
        // What the SDK then sends with each part; a store may refuse what was not announced.
        ...(checksums === 'WHEN_SUPPORTED' && { ChecksumAlgorithm: 'CRC32' }),
        ...bucket.encryption,
      }),
      { abortSignal: call.signal },
    ),
  );
  if (UploadId === undefined) throw new CygniError('internal', `${what}: no upload was made`);
  try {
    const completed = await sendAll(upload, UploadId);
    const { Metadata: _, ...target } = write;
    const command = { ...target, UploadId, MultipartUpload: { Parts: completed } };
    await decide(bucket, write, what, call, () =>
      bucket.client.send(new CompleteMultipartUploadCommand(command), { abortSignal: call.signal }),
    );
  } catch (error) {
    await removeUpload(bucket, { Bucket, Key, UploadId }, call);
    throw error;
  }
}

async function sendAll(upload: PartsUpload, UploadId: string): Promise<CompletedPart[]> {
  const { first, parts, buffers, stop } = upload;
  const inFlight = new Set<Promise<void>>();
  const completed: CompletedPart[] = [];
  let number = 0;

  async function start(part: Part): Promise<void> {
    number += 1;
    const sending = sendPart(upload, UploadId, number, part).then(
      (sent) => {
        completed.push(sent);
        buffers.giveBack(part.buffer);
        inFlight.delete(sending);
      },
      (error: unknown) => {
        stop.abort(error);
        inFlight.delete(sending);
      },
    );
    inFlight.add(sending);
    if (inFlight.size >= partsAtOnce) await Promise.race(inFlight);
  }

  try {
    await start(first);
    for await (const part of parts) await start(part);
  } catch (error) {
    stop.abort(error);
  }
  await Promise.all(inFlight);
  stop.signal.throwIfAborted();
  return completed.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
}

async function sendPart(
  { bucket, write, what, call }: PartsUpload,
  UploadId: string,
  PartNumber: number,
  part: Part,
): Promise<CompletedPart> {
  const { Bucket, Key } = write;
  const Body = part.buffer.subarray(0, part.sizeBytes);
  const command = { Bucket, Key, UploadId, PartNumber, Body, ContentLength: part.sizeBytes };
  const sent = await bucket.retry(what, call, () =>
    bucket.client.send(new UploadPartCommand(command), { abortSignal: call.signal }),
  );
  if (sent.ETag === undefined) throw new CygniError('internal', `${what}: a part has no tag`);
  return {
    PartNumber,
    ETag: sent.ETag,
    ...(sent.ChecksumCRC32 === undefined ? {} : { ChecksumCRC32: sent.ChecksumCRC32 }),
  };
}

/** Its parts would be paid for until somebody finds them. */
async function removeUpload(
  bucket: Bucket,
  upload: { readonly Bucket: string; readonly Key: string; readonly UploadId: string },
  { log }: Call,
): Promise<void> {
  const call: Call = { signal: AbortSignal.timeout(lastWordsMs), log };
  try {
    await bucket.retry('removal of an upload', call, () =>
      bucket.client.send(new AbortMultipartUploadCommand(upload), { abortSignal: call.signal }),
    );
  } catch (err) {
    log.warn({ err, uploadId: upload.UploadId }, 'the parts of a failed upload are still stored');
  }
}
