import { ListObjectsV2Command, type ListObjectsV2CommandInput } from '@aws-sdk/client-s3';
import { type ArtifactInfo, type Call, parseArtifactPrefix } from '@cygni/core';
import type { Bucket } from './bucket.ts';

/** The artifacts whose key begins with `prefix`, in pages of up to a thousand. */
export async function* listObjects(
  bucket: Bucket,
  prefix: string,
  call: Call,
): AsyncGenerator<readonly ArtifactInfo[]> {
  const Prefix = bucket.prefix + parseArtifactPrefix(prefix);
  let token: string | undefined;
  do {
    const command: ListObjectsV2CommandInput = {
      Bucket: bucket.name,
      Prefix,
      ...(token === undefined ? {} : { ContinuationToken: token }),
    };
    const page = await bucket.retry('list', call, () =>
      bucket.client.send(new ListObjectsV2Command(command), { abortSignal: call.signal }),
    );
    yield (page.Contents ?? []).flatMap(({ Key, Size }) =>
      Key === undefined || Size === undefined
        ? []
        : [{ key: Key.slice(bucket.prefix.length), sizeBytes: Size }],
    );
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}
