import type { Call } from './call.ts';
import type { RepositoryLocation } from './registry.ts';

export interface Manifest {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export interface BlobUpload {
  readonly digest: string;
  readonly sizeBytes: number;
  /** Called again for each try, so an upload can be retried. */
  readonly open: () => AsyncIterable<Uint8Array>;
}

/**
 * Reads and writes the manifests and blobs of any OCI distribution registry.
 * Builders and deployers that handle image content themselves take one as an option,
 * so that no adapter imports another.
 */
export interface ImageClient {
  /** @param reference a tag or a digest. The bytes are verified against the digest. @throws `not_found`, `integrity`, `unavailable`, `forbidden` */
  getManifest(location: RepositoryLocation, reference: string, call: Call): Promise<Manifest>;

  /** A stream of the blob, verified: it throws `integrity` at its end if the digest differs. */
  getBlob(
    location: RepositoryLocation,
    digest: string,
    call: Call,
  ): Promise<AsyncIterable<Uint8Array>>;

  /** Uploads a blob unless the registry has it. */
  putBlob(location: RepositoryLocation, blob: BlobUpload, call: Call): Promise<void>;

  /** Stores the manifest under `reference` (a tag, or its own digest) and returns its digest. */
  putManifest(
    location: RepositoryLocation,
    reference: string,
    manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
    call: Call,
  ): Promise<string>;

  /** Makes a blob of `from` appear in `location` without a transfer, where both are on one registry that can. Returns whether it did. */
  mountBlob(
    location: RepositoryLocation,
    from: string,
    digest: string,
    call: Call,
  ): Promise<boolean>;
}
