import type { Adapter, Call } from './call.ts';

export type RegistryAction = 'pull' | 'push' | 'delete';

export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
  /** ISO 8601; null if they do not expire. */
  readonly expiresAt: string | null;
  /**
   * What the credentials open: this one repository, or every repository of an account.
   * Only the first kind may ever be placed where a RUN step can read it.
   */
  readonly reach: 'repository' | 'account';
}

/** A repository of some registry, and how to speak to it. */
export interface RepositoryLocation {
  /** Host with port, without a scheme: `127.0.0.1:8080`, `ghcr.io`. */
  readonly host: string;
  /** The path below the host: `acme/hello-site`. */
  readonly repository: string;
  /** Plain HTTP is spoken only where this is true. */
  readonly insecure: boolean;
  /** Absent: anonymous. */
  readonly credentials?: RegistryCredentials;
}

export interface ResolvedImage {
  readonly digest: string;
  readonly mediaType: string;
  /** Manifest, config and layers together. For an index: of all its platforms. */
  readonly sizeBytes: number;
}

/** Where images live. Repositories are named by path; the host is the adapter's own business. */
export interface Registry extends Adapter {
  /** Host with port, as image references name it. */
  readonly host: string;
  readonly insecure: boolean;

  /** Creates the repository if it is missing. Two calls at once both succeed. */
  ensureRepository(repository: string, call: Call): Promise<void>;

  /** @throws `unavailable`, `forbidden` */
  credentials(
    repository: string,
    actions: readonly RegistryAction[],
    call: Call,
  ): Promise<RegistryCredentials>;
  /** The registry did not take them: `credentials` gives them to nobody any more. Only where it gives the same ones twice. */
  forgetCredentials?(credentials: RegistryCredentials): void;

  /**
   * @param reference a tag or a digest
   * @throws `not_found`, `unavailable`
   */
  resolve(repository: string, reference: string, call: Call): Promise<ResolvedImage>;

  /** Names an existing image by one more tag. @throws `not_found`, `conflict` where tags are immutable */
  tag(repository: string, digest: string, tag: string, call: Call): Promise<void>;

  /** Tags in lexical order, after `after`, at most `limit`. */
  listTags(
    repository: string,
    page: { readonly after?: string; readonly limit: number },
    call: Call,
  ): Promise<readonly string[]>;

  /** Deletes the image and its tags. Deleting what is not there succeeds. */
  deleteImage(repository: string, digest: string, call: Call): Promise<void>;
}
