import { mediaTypes } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { createImageClient } from '../src/index.ts';
import { callWith } from './support/call.ts';
import { debianRegistry, debianRegistryPresent } from './support/debian-registry.ts';
import { embedded } from './support/embedded.ts';
import { descriptor, imageSaying, sha256 } from './support/image.ts';
import { pushImage } from './support/push-image.ts';

const call = callWith();
const image = imageSaying('with papers');
const present = await debianRegistryPresent();

/** An artifact of the given type about the image. */
function about(artifactType: string): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType,
      config: descriptor(mediaTypes.ociConfig, image.config),
      layers: [],
      subject: descriptor(mediaTypes.ociManifest, image.manifest),
      annotations: { 'com.example.of': artifactType },
    }),
  );
}

describe.each([
  ['with the referrers API', true, () => embedded(), false],
  ['without it (Debian’s docker-registry)', present, () => debianRegistry(), true],
])('what refers to an image, at a registry %s', (_, runs, serve, byTag) => {
  it.skipIf(!runs)('is found, all of it or by its type, and listed once', async () => {
    await using served = await serve();
    await using client = createImageClient();
    const location = { host: served.host, repository: 'acme/site', insecure: true };
    await pushImage(client, location, image);
    expect(await client.listReferrers(location, image.digest, {}, call)).toEqual([]);

    for (const type of ['application/sbom', 'application/provenance', 'application/sbom']) {
      const bytes = about(type);
      const manifest = { mediaType: mediaTypes.ociManifest, bytes };
      await client.putManifest(location, sha256(bytes), manifest, call);
    }
    const all = await client.listReferrers(location, image.digest, {}, call);
    expect(all.map((each) => each.digest).sort()).toEqual(
      [about('application/sbom'), about('application/provenance')].map(sha256).sort(),
    );
    const filter = { artifactType: 'application/sbom' };
    expect(await client.listReferrers(location, image.digest, filter, call)).toEqual([
      {
        mediaType: mediaTypes.ociManifest,
        digest: sha256(about('application/sbom')),
        size: about('application/sbom').byteLength,
        artifactType: 'application/sbom',
        annotations: { 'com.example.of': 'application/sbom' },
      },
    ]);
    const tags = await client.listTags(location, { limit: 10 }, call);
    expect(tags.includes(image.digest.replace(':', '-'))).toBe(byTag);
  });
});
