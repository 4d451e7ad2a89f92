import type { Adapter, Call } from './call.ts';

export interface ArtifactInfo {
  readonly key: string;
  readonly sizeBytes: number;
}

export interface StoredArtifact extends ArtifactInfo {
  /** Lower-case hex, computed while streaming. */
  readonly sha256: string;
}

export interface PutOptions {
  readonly maximumBytes: number;
  /** Of any number of puts at once one succeeds. Default false. */
  readonly ifAbsent?: boolean;
}

/** What may be uploaded with a presigned PUT: exactly this, so that it can be trusted without being read again. */
export interface PresignedPutOptions {
  readonly expiresInSeconds: number;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

export interface PresignedPut {
  readonly url: URL;
  /** The upload is refused without them. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Keeps byte streams by key: source archives, finished logs. Keys are `/`-separated, tenant first; each part is
 * made of up to 200 letters, digits and `._-`, and does not begin with a dot. Another key is `invalid_input`. No
 * key is the folder of another.
 */
export interface ArtifactStore extends Adapter {
  readonly supports: { readonly presign: boolean; readonly ifAbsent: boolean };
  /**
   * Streams in, replacing what was there unless `ifAbsent`. A put that fails or is aborted leaves nothing behind, and what was
   * there before as it was; a reader sees all of one body or all of the other. Where the last answer of a store is lost, a put
   * that may have replaced something fails and either body is there.
   * @throws `too_large` past `maximumBytes`; `conflict` with `ifAbsent`, where something is there;
   *   `unsupported` with `ifAbsent` unless `supports.ifAbsent`; what the body throws, as it is
   */
  put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    options: PutOptions,
    call: Call,
  ): Promise<StoredArtifact>;
  /**
   * The call ends when the body can be read: its signal does not bound the reading. Leaving the iteration
   * early frees what it holds.
   * @throws `not_found`
   */
  get(key: string, call: Call): Promise<AsyncIterable<Uint8Array>>;
  /** Deleting what is not there succeeds. */
  delete(key: string, call: Call): Promise<void>;
  /** In no order. A prefix is the beginning of a key, not only a folder. */
  list(prefix: string, call: Call): AsyncIterable<ArtifactInfo>;
  /**
   * An address that whoever has it can read, whether or not the artifact is there yet.
   * @throws `unsupported` unless `supports.presign`
   */
  presignGet(key: string, expiresInSeconds: number, call: Call): Promise<URL>;
  /** @throws `unsupported` unless `supports.presign` */
  presignPut(key: string, options: PresignedPutOptions, call: Call): Promise<PresignedPut>;
}
