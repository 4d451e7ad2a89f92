import { readFile } from 'node:fs/promises';
import { isTag } from '../reference.ts';
import type { BlobStore } from './blob-store.ts';
import { algorithmOf, digestOf, isDigest } from './digest.ts';
import {
  namesIn,
  removeIfPresent,
  sizeIfPresent,
  unlessMissing,
  writeAtomically,
} from './files.ts';
import type { KeyedLock } from './keyed-lock.ts';
import type { Layout } from './layout.ts';
import type { LiveReferences } from './live-references.ts';
import { type ManifestContent, readManifest } from './manifest-content.ts';
import { SpecFailure } from './spec-failure.ts';

interface StoredManifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

export interface ManifestStore {
  get(repository: string, reference: string): Promise<StoredManifest | undefined>;
  /** @throws SpecFailure if it is malformed, or what it refers to is missing */
  put(
    repository: string,
    reference: string,
    bytes: Uint8Array,
    contentType: string | undefined,
  ): Promise<{ readonly digest: string; readonly subject: string | undefined }>;
  /** By a tag: only the tag. By a digest: with all tags that name it. Returns whether it was there. */
  delete(repository: string, reference: string): Promise<boolean>;
  /** In the order of their bytes; undefined if nothing was ever pushed to the repository. */
  tags(repository: string): Promise<readonly string[] | undefined>;
}

interface Parts {
  readonly layout: Layout;
  readonly lock: KeyedLock;
  readonly blobs: BlobStore;
  readonly live: LiveReferences;
}

export function createManifestStore({ layout, lock, blobs, live }: Parts): ManifestStore {
  const inRepository = <Value>(repository: string, task: () => Promise<Value>) =>
    lock.run(`repository ${repository}`, task);

  async function resolve(repository: string, reference: string): Promise<string | undefined> {
    if (isDigest(reference)) return reference;
    const content = await unlessMissing(readFile(layout.tag(repository, reference), 'utf8'));
    return content !== undefined && isDigest(content) ? content : undefined;
  }

  async function get(repository: string, reference: string): Promise<StoredManifest | undefined> {
    const digest = await resolve(repository, reference);
    if (digest === undefined) return undefined;
    const link = layout.manifestLink(repository, digest);
    const mediaType = await unlessMissing(readFile(link, 'utf8'));
    if (mediaType === undefined) return undefined;
    const bytes = await unlessMissing(readFile(layout.blob(digest)));
    return bytes && { digest, mediaType, bytes };
  }

  async function assertPresent(repository: string, content: ManifestContent): Promise<void> {
    for (const digest of content.required) {
      // Behind whatever a collection is doing to this very digest.
      const present = await lock.run(digest, async () => {
        if ((await blobs.size(repository, digest)) !== undefined) return true;
        return (await sizeIfPresent(layout.manifestLink(repository, digest))) !== undefined;
      });
      if (!present) throw new SpecFailure('MANIFEST_BLOB_UNKNOWN', `${digest} was not pushed`);
    }
  }

  return {
    get,

    async put(repository, reference, bytes, contentType) {
      const digest = digestOf(isDigest(reference) ? algorithmOf(reference) : 'sha256', bytes);
      if (isDigest(reference) && reference !== digest) {
        throw new SpecFailure('DIGEST_INVALID', `the content is ${digest}`);
      }
      const content = readManifest(bytes, contentType);
      await live.during([digest, ...content.references], () =>
        inRepository(repository, async () => {
          await assertPresent(repository, content);
          await blobs.keepContent(digest, bytes);
          if (content.subject !== undefined) {
            await writeAtomically(
              layout.scratch,
              layout.referrer(repository, content.subject, digest),
              JSON.stringify({
                mediaType: content.mediaType,
                digest,
                size: bytes.byteLength,
                ...(content.artifactType && { artifactType: content.artifactType }),
                ...(content.annotations && { annotations: content.annotations }),
              }),
            );
          }
          const link = layout.manifestLink(repository, digest);
          await writeAtomically(layout.scratch, link, content.mediaType);
          if (isTag(reference)) {
            await writeAtomically(layout.scratch, layout.tag(repository, reference), digest);
          }
        }),
      );
      return { digest, subject: content.subject };
    },

    delete: (repository, reference) =>
      inRepository(repository, async () => {
        if (!isDigest(reference)) return removeIfPresent(layout.tag(repository, reference));
        const found = await get(repository, reference);
        // The tags first: after a crash in between, none of them leads nowhere.
        for (const tag of await namesIn(layout.tags(repository))) {
          if ((await resolve(repository, tag)) === reference) {
            await removeIfPresent(layout.tag(repository, tag));
          }
        }
        const removed = await removeIfPresent(layout.manifestLink(repository, reference));
        const subject = found && readManifest(found.bytes, found.mediaType).subject;
        if (subject !== undefined) {
          await removeIfPresent(layout.referrer(repository, subject, reference));
        }
        return removed;
      }),

    async tags(repository) {
      const tags = await namesIn(layout.tags(repository));
      if (tags.length > 0) return [...tags].sort();
      const links = [layout.manifestLinks(repository), layout.blobLinks(repository)];
      for (const directory of links) {
        if ((await sizeIfPresent(directory)) !== undefined) return [];
      }
      return undefined;
    },
  };
}
