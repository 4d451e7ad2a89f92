import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  type ObjectIdentifier,
} from '@aws-sdk/client-s3';
import { type Call, CygniError, isCygniError } from '@cygni/core';
import type { Bucket } from './bucket.ts';
import { listObjects } from './list.ts';

/** @param etag only while the object is still this one; `conflict` otherwise */
export async function deleteObject(
  bucket: Bucket,
  Key: string,
  call: Call,
  etag?: string,
): Promise<void> {
  const command = { Bucket: bucket.name, Key, ...(etag !== undefined && { IfMatch: etag }) };
  try {
    await bucket.retry('delete', call, () =>
      bucket.client.send(new DeleteObjectCommand(command), { abortSignal: call.signal }),
    );
  } catch (error) {
    // Some stores say so; AWS does not.
    if (!isCygniError(error, 'not_found')) throw error;
  }
}

/** Page by page, a thousand in one request. */
export async function deleteByPrefix(bucket: Bucket, prefix: string, call: Call): Promise<number> {
  let deleted = 0;
  for await (const page of listObjects(bucket, prefix, call)) {
    const Objects: ObjectIdentifier[] = page.map(({ key }) => ({ Key: bucket.prefix + key }));
    if (Objects.length === 0) continue;
    const command = { Bucket: bucket.name, Delete: { Objects, Quiet: true } };
    await bucket.retry('delete by prefix', call, async () => {
      const { Errors = [] } = await bucket.client.send(new DeleteObjectsCommand(command), {
        abortSignal: call.signal,
      });
      if (Errors.length === 0) return;
      const denied = Errors.every(({ Code }) => Code === 'AccessDenied');
      throw new CygniError(
        denied ? 'forbidden' : 'unavailable',
        `${Errors.length} artifacts were not deleted: ${Errors[0]?.Code}`,
      );
    });
    deleted += Objects.length;
  }
  return deleted;
}
