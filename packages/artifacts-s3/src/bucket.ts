import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { Retry } from '@cygni/core';
import { leaveBodiesUnsignedOverTls } from './leave-unsigned.ts';
import type { S3ArtifactStoreSettings } from './options.ts';
import { createS3Retry } from './retry.ts';

/** The SDK's own default. */
const maximumConnections = 50;

/** What every operation works with. */
export interface Bucket {
  readonly client: S3Client;
  /** Signs what others send, of which it cannot know a checksum. */
  readonly signer: S3Client;
  readonly retry: Retry;
  readonly name: string;
  readonly prefix: string;
  /** Parameters of each request that stores something. */
  readonly encryption: {
    readonly ServerSideEncryption?: 'AES256' | 'aws:kms';
    readonly SSEKMSKeyId?: string;
  };
}

export function createBucket(settings: S3ArtifactStoreSettings): Bucket {
  const { timeouts, serverSideEncryption: encryption } = settings;
  const pool = { keepAlive: true, maxSockets: maximumConnections };
  const configuration: S3ClientConfig = {
    forcePathStyle: settings.forcePathStyle,
    // Retries are ours: the SDK's are over within a fifth of a second.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: timeouts.connectMs,
      requestTimeout: timeouts.requestMs,
      // Without it a request that takes too long is only warned of.
      throwOnRequestTimeout: true,
      socketTimeout: timeouts.idleMs,
      // With agents that it made itself, the SDK opens a connection for each part, used once.
      httpAgent: new HttpAgent(pool),
      httpsAgent: new HttpsAgent(pool),
    },
    ...(settings.region === undefined ? {} : { region: settings.region }),
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
    ...(settings.credentials === undefined ? {} : { credentials: settings.credentials }),
  };
  const client = new S3Client(configuration);
  leaveBodiesUnsignedOverTls(client);
  const keyId = encryption?.algorithm === 'aws:kms' ? encryption.keyId : undefined;
  return {
    client,
    // By default the SDK signs the checksum of an empty body into a presigned PUT, and a wish into a GET.
    signer: new S3Client({
      ...configuration,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    }),
    retry: createS3Retry(settings.retry),
    name: settings.bucket,
    prefix: settings.prefix,
    encryption: {
      ...(encryption === undefined ? {} : { ServerSideEncryption: encryption.algorithm }),
      ...(keyId === undefined ? {} : { SSEKMSKeyId: keyId }),
    },
  };
}
