import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import {
  type Call,
  CygniError,
  type PresignedPut,
  type PresignedPutOptions,
  parseArtifactKey,
} from '@cygni/core';
import { z } from 'zod';
import type { Bucket } from './bucket.ts';

/** SigV4's own limit. */
const longestSeconds = 7 * 24 * 60 * 60;
/** The most that one PUT may carry. */
const longestPutBytes = 5 * 1024 ** 3;
const seconds = z.int().min(1).max(longestSeconds);
const putSchema = z.object({
  expiresInSeconds: seconds,
  sizeBytes: z.int().min(0).max(longestPutBytes),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

export async function presignGet(
  bucket: Bucket,
  key: string,
  expiresInSeconds: number,
  call: Call,
): Promise<URL> {
  const expiresIn = parse(z.object({ expiresInSeconds: seconds }), { expiresInSeconds });
  const command = new GetObjectCommand({
    Bucket: bucket.name,
    Key: bucket.prefix + parseArtifactKey(key),
  });
  // Signing asks the chain of credentials, which may fail for a while.
  const url = await bucket.retry(`presigned get of ${key}`, call, () =>
    getSignedUrl(bucket.signer, command, { expiresIn: expiresIn.expiresInSeconds }),
  );
  return new URL(url);
}

/** The store accepts one body only: size and digest are part of what is signed. */
export async function presignPut(
  bucket: Bucket,
  key: string,
  options: PresignedPutOptions,
  call: Call,
): Promise<PresignedPut> {
  const { expiresInSeconds, sizeBytes, sha256 } = parse(putSchema, options);
  const checksum = Buffer.from(sha256, 'hex').toString('base64');
  const command = new PutObjectCommand({
    Bucket: bucket.name,
    Key: bucket.prefix + parseArtifactKey(key),
    ContentLength: sizeBytes,
    ChecksumSHA256: checksum,
    ...bucket.encryption,
  });
  const url = await bucket.retry(`presigned put of ${key}`, call, () =>
    getSignedUrl(bucket.signer, command, {
      expiresIn: expiresInSeconds,
      // In the query it would be up to the store whether to look at it.
      unhoistableHeaders: new Set(['x-amz-checksum-sha256']),
    }),
  );
  const { ServerSideEncryption, SSEKMSKeyId } = bucket.encryption;
  return {
    url: new URL(url),
    headers: {
      'content-length': String(sizeBytes),
      'x-amz-checksum-sha256': checksum,
      ...(ServerSideEncryption && { 'x-amz-server-side-encryption': ServerSideEncryption }),
      ...(SSEKMSKeyId && { 'x-amz-server-side-encryption-aws-kms-key-id': SSEKMSKeyId }),
    },
  };
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new CygniError('invalid_input', `presigned address: ${wrong.join('; ')}`);
}
