import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { abortedError, CygniError } from '@cygni/core';
import { digestOfHex } from './digest.ts';
import { ageMsIfPresent, namesIn, removeIfPresent, sizeIfPresent, unlessMissing } from './files.ts';
import type { KeyedLock } from './keyed-lock.ts';
import type { Layout } from './layout.ts';
import type { LiveReferences } from './live-references.ts';
import { readManifest } from './manifest-content.ts';
import { isPushUnderWay } from './push-under-way.ts';

export interface Collected {
  readonly deletedBlobs: number;
  readonly freedBytes: number;
}

interface Parts {
  readonly layout: Layout;
  readonly lock: KeyedLock;
  readonly live: LiveReferences;
  readonly graceMs: number;
  /** A push that takes longer may lose what it began with. */
  readonly longestPushMs: number;
}

/**
 * Deletes content that no manifest refers to and that nobody pushed or asked for within the grace
 * period; and takes from each repository the blobs that none of its own manifests refers to. A blob
 * of a repository that is being pushed to waits for its manifest, up to the longest time of a push.
 * @throws `aborted`; `integrity` if a manifest cannot be read, since what it refers to is then unknown
 */
export function collectGarbage(parts: Parts, signal: AbortSignal): Promise<Collected> {
  const { layout, lock, live, graceMs, longestPushMs } = parts;
  return live.collecting(async (arriving) => {
    const referenced = new Set<string>();
    for await (const repository of repositoriesIn(layout.repositories)) {
      assertGoesOn(signal);
      const own = await referencesOf(layout, repository);
      for (const digest of own) referenced.add(digest);
      for (const digest of await dropLinks(repository, own, arriving)) referenced.add(digest);
    }

    let deletedBlobs = 0;
    let freedBytes = 0;
    for await (const hex of contentIn(layout)) {
      assertGoesOn(signal);
      const digest = digestOfHex(hex);
      if (digest === undefined || referenced.has(digest)) continue;
      const freed = await lock.run(digest, async () => {
        const file = layout.blob(digest);
        const age = await ageMsIfPresent(file);
        if (arriving.has(digest) || age === undefined || age < graceMs) return undefined;
        const size = await sizeIfPresent(file);
        return (await removeIfPresent(file)) ? size : undefined;
      });
      if (freed === undefined) continue;
      deletedBlobs += 1;
      freedBytes += freed;
    }
    return { deletedBlobs, freedBytes };
  });

  /** Returns what a push under way may yet refer to. */
  async function dropLinks(
    repository: string,
    own: ReadonlySet<string>,
    arriving: ReadonlySet<string>,
  ): Promise<readonly string[]> {
    const kept: string[] = [];
    let underWay: boolean | undefined;
    for (const hex of await namesIn(layout.blobLinks(repository))) {
      assertGoesOn(signal);
      const digest = digestOfHex(hex);
      if (digest === undefined || own.has(digest)) continue;
      const file = layout.blobLink(repository, digest);
      const found = await ageMsIfPresent(file);
      if (found === undefined || found < graceMs) continue;
      if (found < longestPushMs) {
        underWay ??= await isPushUnderWay(layout, repository, graceMs);
        if (underWay) {
          kept.push(digest);
          continue;
        }
      }
      await lock.run(digest, async () => {
        const age = await ageMsIfPresent(file);
        if (!arriving.has(digest) && age !== undefined && age >= graceMs) {
          await removeIfPresent(file);
        }
      });
    }
    return kept;
  }
}

async function referencesOf(layout: Layout, repository: string): Promise<ReadonlySet<string>> {
  const all = new Set<string>();
  for (const hex of await namesIn(layout.manifestLinks(repository))) {
    const digest = digestOfHex(hex);
    if (digest === undefined) continue;
    const mediaType = await unlessMissing(
      readFile(layout.manifestLink(repository, digest), 'utf8'),
    );
    // Deleted since the directory was read.
    if (mediaType === undefined) continue;
    all.add(digest);
    try {
      const bytes = await readFile(layout.blob(digest));
      for (const each of readManifest(bytes, mediaType).references) all.add(each);
    } catch (cause) {
      throw new CygniError('integrity', `manifest ${digest} of ${repository} cannot be read`, {
        cause,
      });
    }
  }
  return all;
}

async function* contentIn(layout: Layout): AsyncGenerator<string, void, undefined> {
  for (const directory of layout.blobs) {
    for (const prefix of await namesIn(directory)) {
      yield* await namesIn(path.join(directory, prefix));
    }
  }
}

/** Every repository has its directory; those of the server's own begin with an underscore. */
async function* repositoriesIn(root: string): AsyncGenerator<string, void, undefined> {
  const pending = [''];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const entries = await unlessMissing(
      readdir(path.join(root, ...name.split('/')), { withFileTypes: true }),
    );
    for (const entry of entries ?? []) {
      if (!entry.isDirectory() || entry.name.startsWith('_')) continue;
      const child = name === '' ? entry.name : `${name}/${entry.name}`;
      pending.push(child);
      yield child;
    }
  }
}

function assertGoesOn(signal: AbortSignal): void {
  if (signal.aborted) throw abortedError(signal);
}
