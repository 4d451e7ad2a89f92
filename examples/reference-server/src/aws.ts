import type { S3ArtifactStoreOptions } from '@cygni/artifacts-s3';
import type { EcrRegistryOptions } from '@cygni/registry-ecr';
import { z } from 'zod';
import { json } from './json.ts';

const jsonObject = json.pipe(z.record(z.string(), z.json(), 'must be a JSON object'));

export const s3Variables = z.object({
  S3_BUCKET: z.string().min(1).optional().meta({
    description: 'the bucket for artifacts, which must exist; without it they are on disk',
  }),
  S3_PREFIX: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'what every key begins with, to share the bucket' }),
  S3_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .meta({ description: 'another store than AWS; builds must reach it too' }),
  S3_REGION: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'the region; otherwise what the AWS SDK finds' }),
  S3_FORCE_PATH_STYLE: z
    .stringbool()
    .optional()
    .meta({ description: 'the bucket in the path and not in the host name' }),
  S3_KMS_KEY_ID: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'each object is encrypted with this key' }),
  S3_CONDITIONAL_WRITES: z
    .stringbool()
    .default(true)
    .meta({ description: 'false for a store that ignores If-None-Match' }),
  S3_ABORT_INCOMPLETE_UPLOADS_DAYS: z.coerce.number().int().min(1).max(3_650).optional().meta({
    description: 'keeps a rule in the bucket that removes cut-off uploads after so many days',
  }),
});

export const ecrVariables = z.object({
  ECR_REGISTRY: z
    .string()
    .regex(
      /^\d{12}\.dkr[.-]ecr[a-z0-9.-]+$/,
      'must be <account>.dkr.ecr.<region>.amazonaws.com, or what AWS calls it elsewhere',
    )
    .optional()
    .meta({ description: 'host of an Amazon ECR registry for the images' }),
  ECR_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .meta({ description: 'where the API of ECR is, if not where AWS has it' }),
  ECR_IMMUTABLE_TAGS: z
    .stringbool()
    .optional()
    .meta({ description: 'tags of repositories that are created cannot be moved' }),
  ECR_SCAN_ON_PUSH: z
    .stringbool()
    .optional()
    .meta({ description: 'AWS scans what is pushed to repositories that are created' }),
  ECR_KMS_KEY_ID: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'images of repositories that are created are encrypted with this key' }),
  ECR_LIFECYCLE_POLICY: jsonObject
    .optional()
    .meta({ description: 'JSON; a lifecycle policy for repositories that have none' }),
  ECR_REPOSITORY_POLICY: jsonObject
    .optional()
    .meta({ description: 'JSON; who else may pull from repositories that have no policy' }),
});

/** Undefined: artifacts on disk. */
export function s3Options(
  variables: z.output<typeof s3Variables>,
): S3ArtifactStoreOptions | undefined {
  if (variables.S3_BUCKET === undefined) return undefined;
  const {
    S3_PREFIX: prefix,
    S3_REGION: region,
    S3_ENDPOINT: endpoint,
    S3_FORCE_PATH_STYLE: forcePathStyle,
    S3_KMS_KEY_ID: keyId,
    S3_ABORT_INCOMPLETE_UPLOADS_DAYS: abortIncompleteUploadsAfterDays,
  } = variables;
  return {
    bucket: variables.S3_BUCKET,
    conditionalWrites: variables.S3_CONDITIONAL_WRITES,
    ...(prefix && { prefix }),
    ...(region && { region }),
    ...(endpoint && { endpoint }),
    ...(forcePathStyle !== undefined && { forcePathStyle }),
    ...(keyId && { serverSideEncryption: { algorithm: 'aws:kms', keyId } }),
    ...(abortIncompleteUploadsAfterDays && { lifecycle: { abortIncompleteUploadsAfterDays } }),
  };
}

/** Undefined: images elsewhere. */
export function ecrOptions(
  variables: z.output<typeof ecrVariables>,
): Omit<EcrRegistryOptions, 'images'> | undefined {
  if (variables.ECR_REGISTRY === undefined) return undefined;
  const {
    ECR_ENDPOINT: endpoint,
    ECR_IMMUTABLE_TAGS: immutable,
    ECR_SCAN_ON_PUSH: scanOnPush,
    ECR_KMS_KEY_ID: keyId,
    ECR_LIFECYCLE_POLICY: lifecyclePolicy,
    ECR_REPOSITORY_POLICY: policy,
  } = variables;
  return {
    host: variables.ECR_REGISTRY,
    ...(endpoint && { endpoint }),
    repositories: {
      ...(immutable !== undefined && { tags: immutable ? 'immutable' : 'mutable' }),
      ...(scanOnPush !== undefined && { scanOnPush }),
      ...(keyId && { encryption: { type: 'KMS', keyId } }),
      ...(lifecyclePolicy && { lifecyclePolicy }),
      ...(policy && { policy }),
    },
  };
}
