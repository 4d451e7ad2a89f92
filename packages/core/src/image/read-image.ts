import type { Call } from '../contracts/call.ts';
import type { ImageClient } from '../contracts/image-client.ts';
import type { RepositoryLocation } from '../contracts/registry.ts';
import { CygniError } from '../errors.ts';
import {
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
  imageConfigSchema,
  imageIndexSchema,
  imageManifestSchema,
  mediaTypes,
} from '../model/image.ts';

export interface ImagePlatform {
  readonly os: string;
  readonly architecture: string;
}

export interface ReadImage {
  /** Of the manifest of this platform, also where `reference` named an index. */
  readonly digest: string;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
}

const maximumConfigBytes = 8 * 1024 * 1024;

/** The platform that this process runs on, in the words of images. */
export function hostPlatform(): ImagePlatform {
  return { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch };
}

/**
 * Reads the manifest and config of one platform of an image.
 * @param reference a tag or a digest, of a manifest or of an index
 * @throws `not_found` if the image has no such platform, `integrity` if its content is not an image
 */
export async function readImage(
  client: ImageClient,
  location: RepositoryLocation,
  reference: string,
  platform: ImagePlatform,
  call: Call,
): Promise<ReadImage> {
  let found = await client.getManifest(location, reference, call);
  if (isIndex(found.mediaType)) {
    const index = parse(imageIndexSchema, found.bytes, 'image index');
    const chosen = index.manifests.find((each) => matches(each, platform));
    if (!chosen) {
      throw new CygniError(
        'not_found',
        `${location.repository}@${found.digest} has no image for ${platform.os}/${platform.architecture}`,
      );
    }
    found = await client.getManifest(location, chosen.digest, call);
  }
  const manifest = parse(imageManifestSchema, found.bytes, 'image manifest');
  const config = parse(
    imageConfigSchema,
    await collect(await client.getBlob(location, manifest.config.digest, call)),
    'image config',
  );
  return { digest: found.digest, manifest, config };
}

export function isIndex(mediaType: string): boolean {
  return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerManifestList;
}

function matches(descriptor: Descriptor, platform: ImagePlatform): boolean {
  return (
    descriptor.platform?.os === platform.os &&
    descriptor.platform.architecture === platform.architecture
  );
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.byteLength;
    if (size > maximumConfigBytes) throw new CygniError('too_large', 'image config over 8 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parse<Output>(
  schema: { safeParse(value: unknown): { success: true; data: Output } | { success: false } },
  bytes: Uint8Array,
  what: string,
): Output {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new CygniError('integrity', `${what} is not JSON`, { cause });
  }
  const result = schema.safeParse(value);
  if (!result.success) throw new CygniError('integrity', `${what} is malformed`);
  return result.data;
}
