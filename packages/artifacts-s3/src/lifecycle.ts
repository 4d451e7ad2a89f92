import { isDeepStrictEqual } from 'node:util';
import {
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3';
import type { Call } from '@cygni/core';
import type { Bucket } from './bucket.ts';
import type { S3ArtifactStoreSettings } from './options.ts';

/**
 * Adds our rule to the bucket's own, or brings it up to date. There is one document for all rules and no way to
 * change it conditionally: two that change it at the same moment overwrite each other, so it is written only when
 * it differs, which also puts right at the next start what was overwritten.
 */
export async function ensureLifecycle(
  { client, retry, name: Bucket, prefix }: Bucket,
  wanted: NonNullable<S3ArtifactStoreSettings['lifecycle']>,
  call: Call,
): Promise<void> {
  const noncurrentDays = wanted.expireNoncurrentVersionsAfterDays;
  const rule: LifecycleRule = {
    ID: `cygni-artifacts-${prefix.replaceAll('/', '.')}`,
    Status: 'Enabled',
    Filter: { Prefix: prefix },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: wanted.abortIncompleteUploadsAfterDays },
    ...(noncurrentDays === undefined
      ? {}
      : {
          NoncurrentVersionExpiration: { NoncurrentDays: noncurrentDays },
          Expiration: { ExpiredObjectDeleteMarker: true },
        }),
  };
  await retry(`lifecycle rules of bucket ${Bucket}`, call, async () => {
    const rules = await readRules(client, Bucket, call);
    const same = rules.some((each) => isDeepStrictEqual(each, rule));
    if (same) return;
    const others = rules.filter(({ ID }) => ID !== rule.ID);
    await client.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket,
        LifecycleConfiguration: { Rules: [...others, rule] },
      }),
      { abortSignal: call.signal },
    );
  });
}

async function readRules(
  client: Bucket['client'],
  Bucket: string,
  call: Call,
): Promise<readonly LifecycleRule[]> {
  try {
    const command = new GetBucketLifecycleConfigurationCommand({ Bucket });
    const { Rules } = await client.send(command, { abortSignal: call.signal });
    return Rules ?? [];
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchLifecycleConfiguration') return [];
    throw error;
  }
}
