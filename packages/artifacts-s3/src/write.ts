import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { type Call, isCygniError } from '@cygni/core';
import type { Bucket } from './bucket.ts';
import { deleteObject } from './delete.ts';
import { mapError } from './map-error.ts';

const lastWordsMs = 10_000;

/** The artifact being stored, and under which mark, by which one tells one's own write from another's. */
export interface Write {
  readonly Bucket: string;
  readonly Key: string;
  readonly Metadata: { readonly 'cygni-write': string };
  readonly IfNoneMatch?: '*';
}

/**
 * Makes the request that makes the object appear. Its answer may be lost: then another try is told that the
 * object exists or that the upload does not, and the object's mark tells whose it is. When the put fails after
 * all, an object that appeared nevertheless is removed, if there was nothing before it. What may have been
 * replaced is never removed: that would leave neither of the two.
 */
export async function decide(
  bucket: Bucket,
  write: Write,
  what: string,
  call: Call,
  request: () => Promise<unknown>,
): Promise<void> {
  let tries = 0;
  const attempt = async () => {
    tries += 1;
    try {
      await request();
    } catch (error) {
      const mapped = mapError(error, what, call.signal);
      const decided = mapped.code === 'conflict' || mapped.code === 'not_found';
      if (decided && tries > 1 && (await isOurs(bucket, write, call))) return;
      throw error;
    }
  };
  try {
    await bucket.retry(what, call, attempt);
  } catch (error) {
    const answered = isCygniError(error) && !error.retryable && !call.signal.aborted;
    if (!answered && write.IfNoneMatch) await retract(bucket, write, call);
    throw error;
  }
}

async function isOurs(bucket: Bucket, write: Write, call: Call): Promise<boolean> {
  return (await findOurs(bucket, write, call)) !== undefined;
}

/** Undefined where there is nothing, or another's. */
async function findOurs(
  bucket: Bucket,
  { Bucket, Key, Metadata }: Write,
  call: Call,
): Promise<{ readonly ETag: string | undefined } | undefined> {
  try {
    const found = await bucket.client.send(new HeadObjectCommand({ Bucket, Key }), {
      abortSignal: call.signal,
    });
    const ours = found.Metadata?.['cygni-write'] === Metadata['cygni-write'];
    return ours ? { ETag: found.ETag } : undefined;
  } catch (error) {
    const mapped = mapError(error, 'head', call.signal);
    if (mapped.code === 'not_found') return undefined;
    throw mapped;
  }
}

async function retract(bucket: Bucket, write: Write, { log }: Call): Promise<void> {
  const call: Call = { signal: AbortSignal.timeout(lastWordsMs), log };
  try {
    const ours = await findOurs(bucket, write, call);
    // Not one that took its place in between.
    if (ours) await deleteObject(bucket, write.Key, call, ours.ETag);
  } catch (err) {
    log.warn({ err }, 'what is left of an artifact that could not be stored may be in the bucket');
  }
}
