import { createHash } from 'node:crypto';
import path from 'node:path';
import { algorithmOf, digestAlgorithms, hexOf } from './digest.ts';

/**
 * Where everything lies. Content is kept once, by digest; what a repository holds is said by small
 * files of its own. No component of a repository's name begins with an underscore, so the
 * directories that do never meet one.
 *
 *     blobs/sha256/ab/ab12…                      content
 *     repositories/acme/site/_blobs/ab12…        empty: this repository may read the blob
 *     repositories/acme/site/_manifests/ab12…    the media type of a manifest
 *     repositories/acme/site/_tags/latest        a digest
 *     repositories/acme/site/_referrers/ab12…/cd34…   descriptor of a manifest whose subject is ab12…
 *     uploads/<id>.<hash of repository>          content that is arriving
 *     scratch/                                   files about to be renamed
 */
export interface Layout {
  /** One for each digest algorithm. */
  readonly blobs: readonly string[];
  readonly repositories: string;
  readonly uploads: string;
  readonly scratch: string;
  blob(digest: string): string;
  blobLink(repository: string, digest: string): string;
  blobLinks(repository: string): string;
  manifestLink(repository: string, digest: string): string;
  manifestLinks(repository: string): string;
  tag(repository: string, tag: string): string;
  tags(repository: string): string;
  referrer(repository: string, subject: string, digest: string): string;
  referrers(repository: string, subject: string): string;
  upload(repository: string, id: string): string;
  /** Whether a file in `uploads` belongs to an upload to this repository. */
  isUpload(repository: string, name: string): boolean;
}

export function createLayout(directory: string): Layout {
  const root = path.resolve(directory);
  const blobsOf = (algorithm: string) => path.join(root, 'blobs', algorithm);
  const repositories = path.join(root, 'repositories');
  const uploads = path.join(root, 'uploads');
  const inRepository = (repository: string, ...rest: string[]): string =>
    path.join(repositories, ...repository.split('/'), ...rest);
  return {
    blobs: digestAlgorithms.map(blobsOf),
    repositories,
    uploads,
    scratch: path.join(root, 'scratch'),
    blob: (digest) =>
      path.join(blobsOf(algorithmOf(digest)), hexOf(digest).slice(0, 2), hexOf(digest)),
    blobLink: (repository, digest) => inRepository(repository, '_blobs', hexOf(digest)),
    blobLinks: (repository) => inRepository(repository, '_blobs'),
    manifestLink: (repository, digest) => inRepository(repository, '_manifests', hexOf(digest)),
    manifestLinks: (repository) => inRepository(repository, '_manifests'),
    tag: (repository, tag) => inRepository(repository, '_tags', tag),
    tags: (repository) => inRepository(repository, '_tags'),
    referrer: (repository, subject, digest) =>
      inRepository(repository, '_referrers', hexOf(subject), hexOf(digest)),
    referrers: (repository, subject) => inRepository(repository, '_referrers', hexOf(subject)),
    // The name ties an upload to its repository: under another's it does not exist.
    upload: (repository, id) => path.join(uploads, `${id}.${fingerprint(repository)}`),
    isUpload: (repository, name) => name.endsWith(`.${fingerprint(repository)}`),
  };
}

function fingerprint(repository: string): string {
  return createHash('sha256').update(repository).digest('hex').slice(0, 32);
}
