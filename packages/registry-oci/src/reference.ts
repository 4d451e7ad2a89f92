import { CygniError, digestSchema, tagSchema } from '@cygni/core';
import { z } from 'zod';

/** A repository name by the grammar of the OCI distribution spec. */
const ociRepositorySchema = z
  .string()
  .max(255)
  .regex(
    /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/,
    'a repository name as the OCI distribution spec has it',
  );

export function isRepository(value: string): boolean {
  return ociRepositorySchema.safeParse(value).success;
}

export function isDigest(value: string): boolean {
  return digestSchema.safeParse(value).success;
}

export function isTag(value: string): boolean {
  return tagSchema.safeParse(value).success;
}

/** @throws `invalid_input` */
export function assertRepository(value: string): void {
  if (!isRepository(value)) {
    throw new CygniError('invalid_input', `not a repository name: ${JSON.stringify(value)}`);
  }
}

/** @throws `invalid_input` */
export function assertDigest(value: string): void {
  if (!isDigest(value)) {
    throw new CygniError('invalid_input', `not a sha256 digest: ${JSON.stringify(value)}`);
  }
}

/** @throws `invalid_input` */
export function assertReference(value: string): void {
  if (!isDigest(value) && !isTag(value)) {
    throw new CygniError('invalid_input', `neither a tag nor a digest: ${JSON.stringify(value)}`);
  }
}
