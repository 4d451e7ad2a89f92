import type { z } from 'zod';
import type { Manifest } from '../contracts/image-client.ts';
import { CygniError } from '../errors.ts';
import { imageIndexSchema, imageManifestSchema } from '../model/image.ts';
import { isIndex } from './read-image.ts';

const maximumManifests = 200;

/**
 * The bytes of an image, as its manifests say: content that several platforms of an index share counts once.
 * @param read gives a manifest of the same repository by its digest
 * @throws `integrity` if its content is not an image's, `too_large` beyond 200 manifests
 */
export async function measureImage(
  root: Manifest,
  read: (digest: string) => Promise<Manifest>,
): Promise<number> {
  const sizes = new Map<string, number>();
  const manifests = new Set([root.digest]);
  const pending = [root];

  for (let manifest = pending.pop(); manifest !== undefined; manifest = pending.pop()) {
    sizes.set(manifest.digest, manifest.bytes.byteLength);
    if (isIndex(manifest.mediaType)) {
      for (const { digest } of parse(imageIndexSchema, manifest.bytes, 'index').manifests) {
        if (manifests.has(digest)) continue;
        if (manifests.size >= maximumManifests) {
          throw new CygniError('too_large', `an index of over ${maximumManifests} manifests`);
        }
        manifests.add(digest);
        pending.push(await read(digest));
      }
      continue;
    }
    const { config, layers } = parse(imageManifestSchema, manifest.bytes, 'manifest');
    for (const { digest, size } of [config, ...layers]) sizes.set(digest, size);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  bytes: Uint8Array,
  what: string,
): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new CygniError('integrity', `image ${what} is not JSON`, { cause });
  }
  const result = schema.safeParse(value);
  if (!result.success) throw new CygniError('integrity', `image ${what} is malformed`);
  return result.data;
}
