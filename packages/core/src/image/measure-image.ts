import { z } from 'zod';
import type { Call } from '../contracts/call.ts';
import type { ImageClient, Manifest } from '../contracts/image-client.ts';
import type { RepositoryLocation } from '../contracts/registry.ts';
import { CygniError } from '../errors.ts';
import {
  type Descriptor,
  imageConfigSchema,
  imageIndexSchema,
  imageManifestSchema,
} from '../model/image.ts';
import { isIndex } from './read-image.ts';

export interface ImageExtent {
  readonly sizeBytes: number;
  readonly platforms: readonly string[];
}

type Platform = z.output<typeof platformSchema>;

const platformSchema = z.object({
  os: z.string(),
  architecture: z.string(),
  variant: z.string().optional(),
});
const maximumConfigBytes = 8 * 1024 * 1024;
const maximumManifests = 200;

type ImageReader = Pick<ImageClient, 'getManifest' | 'getBlob'>;

/**
 * How much an image is, and for what: content that several of its platforms share counts once.
 * @throws `integrity` if its content is not an image's, `too_large` beyond 200 manifests
 */
export async function measureImage(
  client: ImageReader,
  location: RepositoryLocation,
  root: Manifest,
  call: Call,
): Promise<ImageExtent> {
  const sizes = new Map<string, number>();
  const platforms = new Set<string>();
  const manifests = new Set([root.digest]);
  const pending: { readonly manifest: Manifest; readonly platform: Platform | undefined }[] = [
    { manifest: root, platform: undefined },
  ];

  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { manifest } = next;
    sizes.set(manifest.digest, manifest.bytes.byteLength);
    if (isIndex(manifest.mediaType)) {
      for (const child of parse(imageIndexSchema, manifest.bytes, 'index').manifests) {
        if (manifests.has(child.digest)) continue;
        if (manifests.size >= maximumManifests) {
          throw new CygniError('too_large', `an index of over ${maximumManifests} manifests`);
        }
        manifests.add(child.digest);
        pending.push({
          manifest: await client.getManifest(location, child.digest, call),
          platform: child.platform,
        });
      }
      continue;
    }
    const { config, layers } = parse(imageManifestSchema, manifest.bytes, 'manifest');
    for (const each of [config, ...layers]) sizes.set(each.digest, each.size);
    const platform = next.platform ?? (await platformOf(client, location, config, call));
    // Attestations travel in an index as images of no platform.
    if (platform && platform.os !== 'unknown') platforms.add(nameOf(platform));
  }

  const sizeBytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return { sizeBytes, platforms: [...platforms].sort() };
}

function nameOf(platform: Platform): string {
  const parts = [platform.os, platform.architecture];
  if (platform.variant) parts.push(platform.variant);
  return parts.join('/');
}

/** Undefined for an artifact, whose config is something else. */
async function platformOf(
  client: ImageReader,
  location: RepositoryLocation,
  config: Descriptor,
  call: Call,
): Promise<Platform | undefined> {
  if (
    config.size > maximumConfigBytes ||
    !/(?:image\.config|container\.image)\.v1\+json$/.test(config.mediaType)
  ) {
    return undefined;
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of await client.getBlob(location, config.digest, call)) {
    size += chunk.byteLength;
    if (size > maximumConfigBytes) throw new CygniError('too_large', 'image config over 8 MiB');
    chunks.push(chunk);
  }
  return parse(imageConfigSchema, Buffer.concat(chunks), 'config');
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
