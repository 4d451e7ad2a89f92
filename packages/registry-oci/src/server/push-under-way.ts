import path from 'node:path';
import { ageMsIfPresent, namesIn } from './files.ts';
import type { Layout } from './layout.ts';

/**
 * Whether somebody may still be on the way to a manifest: the repository has an open upload, or one of its blobs was
 * pushed or asked for within the grace period.
 */
export async function isPushUnderWay(
  layout: Layout,
  repository: string,
  graceMs: number,
): Promise<boolean> {
  // Uploads first: one that ends in between has left a young link.
  const uploads = await namesIn(layout.uploads);
  if (uploads.some((name) => layout.isUpload(repository, name))) return true;
  const links = layout.blobLinks(repository);
  for (const name of await namesIn(links)) {
    const age = await ageMsIfPresent(path.join(links, name));
    if (age !== undefined && age < graceMs) return true;
  }
  return false;
}
