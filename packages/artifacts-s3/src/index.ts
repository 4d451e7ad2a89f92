export { createS3ArtifactStore, type S3ArtifactStore } from './create-s3-artifact-store.ts';
export type { S3ArtifactStoreOptions, S3Credentials } from './options.ts';
