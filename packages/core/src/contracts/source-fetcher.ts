import type { Adapter, Call } from './call.ts';

export interface GitLocation {
  readonly url: string;
  /** A branch, a tag or a commit; null: the repository's default branch. */
  readonly ref: string | null;
}

export interface FetchedSource {
  /** What the ref meant when it was read. */
  readonly commit: string;
  /** A gzip-compressed tar archive of the commit's files, to be read once. @throws `too_large`, `timeout` */
  readonly archive: AsyncIterable<Uint8Array>;
  /** Frees what it holds, read or not. Idempotent. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Reads sources from where their owners keep them. */
export interface SourceFetcher extends Adapter {
  /**
   * @throws `invalid_input` with the pointer `/git/url` or `/git/ref`; `too_large`; `unavailable`, `timeout`;
   *   `unsupported` where the server lacks what it needs
   */
  fetchGit(location: GitLocation, call: Call): Promise<FetchedSource>;
}
