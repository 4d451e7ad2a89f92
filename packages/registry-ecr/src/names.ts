import { CygniError, digestSchema, tagSchema } from '@cygni/core';

/** As ECR's API has it: stricter than the OCI distribution spec, which also knows `__` and `--`. */
const repositoryForm = /^[a-z0-9]+(?:[._-][a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-][a-z0-9]+)*)*$/;

/** @throws `invalid_input` */
export function assertRepository(name: string): void {
  if (name.length < 2 || name.length > 256 || !repositoryForm.test(name)) {
    throw new CygniError('invalid_input', `not a repository name: ${JSON.stringify(name)}`);
  }
}

export function isDigest(reference: string): boolean {
  return digestSchema.safeParse(reference).success;
}

/** @throws `invalid_input` */
export function assertDigest(digest: string): void {
  if (!isDigest(digest)) {
    throw new CygniError('invalid_input', `not a sha256 digest: ${JSON.stringify(digest)}`);
  }
}

/** @throws `invalid_input` */
export function assertTag(tag: string): void {
  if (!tagSchema.safeParse(tag).success) {
    throw new CygniError('invalid_input', `not a tag: ${JSON.stringify(tag)}`);
  }
}

/** @throws `invalid_input` */
export function assertReference(reference: string): void {
  if (!isDigest(reference)) assertTag(reference);
}
