import type { Adapter, Call } from './call.ts';

export interface ArtifactInfo {
  readonly key: string;
  readonly sizeBytes: number;
}

export interface StoredArtifact extends ArtifactInfo {
  /** Lower-case hex, computed while streaming. */
  readonly sha256: string;
}

/** Keeps byte streams by key: source archives, finished logs. Keys are `/`-separated, tenant first. */
export interface ArtifactStore extends Adapter {
  readonly supports: { readonly presign: boolean };
  /** Streams in; a failed or aborted put leaves nothing behind. @throws `too_large` past `maximumBytes` */
  put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: { readonly maximumBytes: number },
    call: Call,
  ): Promise<StoredArtifact>;
  /** @throws `not_found` */
  get(key: string, call: Call): Promise<AsyncIterable<Uint8Array>>;
  /** Deleting what is not there succeeds. */
  delete(key: string, call: Call): Promise<void>;
  list(prefix: string, call: Call): AsyncIterable<ArtifactInfo>;
  /** @throws `unsupported` unless `supports.presign` */
  presignGet(key: string, expiresInSeconds: number, call: Call): Promise<URL>;
  /** @throws `unsupported` unless `supports.presign` */
  presignPut(key: string, expiresInSeconds: number, call: Call): Promise<URL>;
}
