import { HeadBucketCommand } from '@aws-sdk/client-s3';
import {
  type ArtifactStore,
  abortedError,
  type Call,
  CygniError,
  isCygniError,
  parseArtifactKey,
  SPEC_VERSION,
} from '@cygni/core';
import { type Bucket, createBucket } from './bucket.ts';
import { deleteByPrefix, deleteObject } from './delete.ts';
import { download } from './download.ts';
import { ensureLifecycle } from './lifecycle.ts';
import { listObjects } from './list.ts';
import { resolveOptions, type S3ArtifactStoreOptions } from './options.ts';
import { presignGet, presignPut } from './presign.ts';
import { upload } from './upload.ts';

export interface S3ArtifactStore extends ArtifactStore {
  /** Deletes what is below a prefix, a thousand at a time, and tells how many: all that a tenant had, say. */
  deleteByPrefix(prefix: string, call: Call): Promise<number>;
}

/**
 * Artifacts in a bucket of Amazon S3, or of a store that speaks its protocol. An upload holds 15 MiB of
 * memory, whatever its size, which may be 48 GiB at most. Does no I/O; `open` looks whether the bucket is there.
 * A presigned address ends with the credentials that signed it, whatever its own time.
 * @throws `invalid_configuration`
 */
export function createS3ArtifactStore(options: S3ArtifactStoreOptions): S3ArtifactStore {
  const settings = resolveOptions(options);
  const bucket = createBucket(settings);
  let closed = false;

  function live({ signal }: Call): Bucket {
    if (closed) throw new CygniError('closed', 'the artifact store is closed');
    if (signal.aborted) throw abortedError(signal);
    return bucket;
  }

  return {
    specVersion: SPEC_VERSION,
    name: 's3',
    supports: { presign: true, ifAbsent: settings.conditionalWrites },
    async open(call) {
      await findBucket(live(call), call);
      if (settings.lifecycle) await ensureLifecycle(bucket, settings.lifecycle, call);
    },
    async close() {
      closed = true;
      bucket.client.destroy();
      bucket.signer.destroy();
    },
    async put(key, body, put, call) {
      const target = live(call);
      if (put.ifAbsent && !settings.conditionalWrites) {
        throw new CygniError('unsupported', 'this store is said to have no conditional writes');
      }
      return upload(target, key, body, put, call);
    },
    get: async (key, call) => download(live(call), key, call),
    delete: async (key, call) =>
      deleteObject(live(call), bucket.prefix + parseArtifactKey(key), call),
    async *list(prefix, call) {
      for await (const page of listObjects(live(call), prefix, call)) yield* page;
    },
    presignGet: async (key, seconds, call) => presignGet(live(call), key, seconds, call),
    presignPut: async (key, put, call) => presignPut(live(call), key, put, call),
    deleteByPrefix: async (prefix, call) => deleteByPrefix(live(call), prefix, call),
  };
}

async function findBucket({ client, retry, name }: Bucket, call: Call): Promise<void> {
  try {
    await retry(`opening bucket ${name}`, call, () =>
      client.send(new HeadBucketCommand({ Bucket: name }), { abortSignal: call.signal }),
    );
  } catch (error) {
    if (!isCygniError(error, 'not_found')) throw error;
    throw new CygniError('invalid_configuration', `there is no bucket ${name}`, { cause: error });
  }
}
