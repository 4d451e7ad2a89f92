import {
  CreateMultipartUploadCommand,
  GetBucketLifecycleConfigurationCommand,
  HeadObjectCommand,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Moto, motoIsMissing, startMoto } from './support/moto.ts';
import { read, roomy, storeAt, streamOf, testCall } from './support/store.ts';

describe.skipIf(motoIsMissing)('a bucket of S3 as moto plays it', () => {
  let moto: Moto;
  beforeAll(async () => {
    moto = await startMoto();
    await moto.createBucket('artifacts');
  });
  afterAll(() => moto?.[Symbol.asyncDispose]());

  it('must be there when the store is opened', async () => {
    const store = storeAt({ endpoint: moto.endpoint, bucket: 'nowhere' });
    await expect(store.open(testCall())).rejects.toMatchObject({
      code: 'invalid_configuration',
      message: 'there is no bucket nowhere',
    });
    await store.close();
  });

  it('is shared by stores with prefixes that do not see one another', async () => {
    const one = storeAt({ endpoint: moto.endpoint, prefix: 'one' });
    const other = storeAt({ endpoint: moto.endpoint, prefix: 'one-more/' });
    await one.put('acme/a', streamOf('1'), roomy, testCall());
    await other.put('acme/a', streamOf('22'), roomy, testCall());
    expect((await read(one, 'acme/a')).toString()).toBe('1');
    expect(await one.deleteByPrefix('', testCall())).toBe(1);
    expect(await Array.fromAsync(other.list('', testCall()))).toEqual([
      { key: 'acme/a', sizeBytes: 2 },
    ]);
    await other.deleteByPrefix('', testCall());
    await Promise.all([one.close(), other.close()]);
  });

  it('is listed and emptied page by page', async () => {
    const store = storeAt({ endpoint: moto.endpoint, prefix: 'many' });
    const keys = Array.from({ length: 1_020 }, (_, index) => `acme/sources/${index}`);
    for (let at = 0; at < keys.length; at += 20) {
      const some = keys.slice(at, at + 20);
      await Promise.all(some.map((key) => store.put(key, streamOf('x'), roomy, testCall())));
    }
    await store.put('acme-2/a', streamOf('x'), roomy, testCall());
    const found = await Array.fromAsync(store.list('acme/', testCall()));
    expect(found.map(({ key }) => key).sort()).toEqual(keys.sort());
    expect(await store.deleteByPrefix('acme/', testCall())).toBe(1_020);
    expect(await store.deleteByPrefix('acme/', testCall())).toBe(0);
    expect(await Array.fromAsync(store.list('', testCall()))).toHaveLength(1);
    await store.close();
  });

  it('encrypts small and large artifacts as it is told to', async () => {
    const store = storeAt({
      endpoint: moto.endpoint,
      serverSideEncryption: { algorithm: 'aws:kms', keyId: 'key-1' },
    });
    for (const body of [Buffer.from('small'), Buffer.alloc(9 * 1024 ** 2)]) {
      await store.put('acme/a', streamOf(body), roomy, testCall());
      const command = new HeadObjectCommand({ Bucket: 'artifacts', Key: 'acme/a' });
      const { ServerSideEncryption, SSEKMSKeyId } = await moto.client.send(command);
      expect([ServerSideEncryption, SSEKMSKeyId]).toEqual(['aws:kms', 'key-1']);
    }
    await store.close();
  });

  it('gets a lifecycle rule, beside those it has, and once', async () => {
    const Bucket = 'artifacts';
    const theirs = {
      ID: 'theirs',
      Status: 'Enabled' as const,
      Filter: { Prefix: 'tmp/' },
      Expiration: { Days: 1 },
    };
    const LifecycleConfiguration = { Rules: [theirs] };
    await moto.client.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration }),
    );
    const rules = async () => {
      const command = new GetBucketLifecycleConfigurationCommand({ Bucket });
      return (await moto.client.send(command)).Rules;
    };
    for (const days of [3, 3, 2]) {
      const store = storeAt({
        endpoint: moto.endpoint,
        prefix: 'cygni/production',
        lifecycle: { abortIncompleteUploadsAfterDays: days, expireNoncurrentVersionsAfterDays: 7 },
      });
      await store.open(testCall());
      await store.open(testCall());
      await store.close();
      expect(await rules()).toEqual([
        theirs,
        expect.objectContaining({
          ID: 'cygni-artifacts-cygni.production.',
          Filter: { Prefix: 'cygni/production/' },
          AbortIncompleteMultipartUpload: { DaysAfterInitiation: days },
          NoncurrentVersionExpiration: { NoncurrentDays: 7 },
        }),
      ]);
    }
  });

  it('keeps its lifecycle rules when it is not told to have one', async () => {
    await moto.createBucket('untouched');
    const store = storeAt({ endpoint: moto.endpoint, bucket: 'untouched' });
    await store.open(testCall());
    const command = new GetBucketLifecycleConfigurationCommand({ Bucket: 'untouched' });
    await expect(moto.client.send(command)).rejects.toMatchObject({
      name: 'NoSuchLifecycleConfiguration',
    });
    await store.close();
  });

  it('may hold uploads of others, which are left alone', async () => {
    const store = storeAt({ endpoint: moto.endpoint });
    const command = { Bucket: 'artifacts', Key: 'acme/a' };
    const { UploadId } = await moto.client.send(new CreateMultipartUploadCommand(command));
    await store.put('acme/a', streamOf(Buffer.alloc(9 * 1024 ** 2)), roomy, testCall());
    expect(UploadId).toBeTruthy();
    expect(await read(store, 'acme/a')).toHaveLength(9 * 1024 ** 2);
    await store.close();
  });
});
