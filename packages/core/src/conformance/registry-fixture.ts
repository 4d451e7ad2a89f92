import { createHash, randomUUID } from 'node:crypto';
import type { Call } from '../contracts/call.ts';
import type { ImageClient } from '../contracts/image-client.ts';
import type {
  Registry,
  RegistryAction,
  RegistryCredentials,
  RepositoryLocation,
} from '../contracts/registry.ts';
import { mediaTypes } from '../model/image.ts';

/** A registry to test. */
export interface RegistryUnderTest {
  readonly registry: Registry;
  /** Carries content in and out, with the credentials that the registry hands out. */
  readonly images: ImageClient;
  /** What the names of the kit's repositories begin with: `acme` for `acme/…`. */
  readonly prefix: string;
  /** Makes it seem to the registry and its server that this much time has passed: credentials run out. */
  elapse(seconds: number): Promise<void>;
  /** Ends the server: from now on nobody answers at the registry's address. */
  stop(): Promise<void>;
  /** After the test. The registry may be closed and its server stopped already. */
  dispose(): Promise<void>;
}

export interface RegistryTraits {
  /** Whether a tag can be given to another image. An adapter that can be set to either is tested with both. */
  readonly tags: 'mutable' | 'immutable';
  /** What the credentials open. `anonymous`: there are none, and none are needed. */
  readonly credentials: 'repository' | 'account' | 'anonymous';
}

interface PushedImage {
  readonly digest: string;
  readonly mediaType: string;
  /** Of the manifest itself. */
  readonly manifestBytes: number;
  readonly configBytes: number;
  readonly layerBytes: number;
  readonly sizeBytes: number;
  readonly architecture: string;
}

/** Short words for what most tests do. */
export interface RegistryFixture extends RegistryUnderTest {
  readonly call: Call;
  /** A name that no other test uses. */
  newName(): string;
  /** A repository that exists. */
  newRepository(): Promise<string>;
  location(
    repository: string,
    actions: readonly RegistryAction[],
    credentials?: RegistryCredentials,
  ): Promise<RepositoryLocation>;
  /** Pushes an image that no other test pushes, under each of the tags, or under its digest alone. */
  push(
    repository: string,
    tags: readonly string[],
    options?: { readonly architecture?: string },
  ): Promise<PushedImage>;
  /** Pushes an index over images that are there. */
  pushIndex(
    repository: string,
    tag: string,
    images: readonly PushedImage[],
  ): Promise<{ readonly digest: string; readonly bytes: number }>;
}

export const absentDigest = `sha256:${'0'.repeat(64)}`;
const callWithinMs = 60_000;

export function createRegistryFixture(under: RegistryUnderTest): RegistryFixture {
  const { registry, images } = under;
  const call: Call = {
    signal: AbortSignal.timeout(callWithinMs),
    log: { debug() {}, info() {}, warn() {}, error() {} },
  };

  const fixture: RegistryFixture = {
    ...under,
    call,
    newName: () => `${under.prefix}/conformance-${randomUUID().slice(0, 13)}`,
    async newRepository() {
      const name = fixture.newName();
      await registry.ensureRepository(name, call);
      return name;
    },
    async location(repository, actions, credentials) {
      const { host, insecure } = registry;
      const own = credentials ?? (await registry.credentials(repository, actions, call));
      return { host, insecure, repository, credentials: own };
    },
    async push(repository, tags, { architecture = 'amd64' } = {}) {
      // The end of a tar archive, and so an archive of no files.
      const layer = Buffer.alloc(1024);
      const config = encode({
        architecture,
        os: 'linux',
        config: { Labels: { unique: randomUUID() } },
        rootfs: { type: 'layers', diff_ids: [sha256(layer)] },
      });
      const manifest = encode({
        schemaVersion: 2,
        mediaType: mediaTypes.ociManifest,
        config: describe(mediaTypes.ociConfig, config),
        layers: [describe(mediaTypes.ociLayer, layer)],
      });
      const location = await fixture.location(repository, ['pull', 'push']);
      for (const bytes of [config, layer]) await putBytes(images, location, bytes, call);
      await putManifest(location, tags, mediaTypes.ociManifest, manifest);
      return {
        digest: sha256(manifest),
        mediaType: mediaTypes.ociManifest,
        manifestBytes: manifest.byteLength,
        configBytes: config.byteLength,
        layerBytes: layer.byteLength,
        sizeBytes: manifest.byteLength + config.byteLength + layer.byteLength,
        architecture,
      };
    },
    async pushIndex(repository, tag, members) {
      const index = encode({
        schemaVersion: 2,
        mediaType: mediaTypes.ociIndex,
        manifests: members.map((member) => ({
          mediaType: member.mediaType,
          digest: member.digest,
          size: member.manifestBytes,
          platform: { os: 'linux', architecture: member.architecture },
        })),
      });
      const location = await fixture.location(repository, ['pull', 'push']);
      await putManifest(location, [tag], mediaTypes.ociIndex, index);
      return { digest: sha256(index), bytes: index.byteLength };
    },
  };
  return fixture;

  async function putManifest(
    location: RepositoryLocation,
    tags: readonly string[],
    mediaType: string,
    bytes: Uint8Array,
  ): Promise<void> {
    for (const reference of tags.length > 0 ? tags : [sha256(bytes)]) {
      await images.putManifest(location, reference, { mediaType, bytes }, call);
    }
  }
}

export async function putBytes(
  images: ImageClient,
  location: RepositoryLocation,
  bytes: Uint8Array,
  call: Call,
): Promise<void> {
  const blob = {
    digest: sha256(bytes),
    sizeBytes: bytes.byteLength,
    async *open() {
      yield bytes;
    },
  };
  await images.putBlob(location, blob, call);
}

function describe(mediaType: string, bytes: Uint8Array) {
  return { mediaType, digest: sha256(bytes), size: bytes.byteLength };
}

function encode(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
