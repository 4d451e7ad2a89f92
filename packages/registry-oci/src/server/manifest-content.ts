import { descriptorSchema, imageIndexSchema, imageManifestSchema, mediaTypes } from '@cygni/core';
import { z } from 'zod';
import { isDigest } from './digest.ts';
import { SpecFailure } from './spec-failure.ts';

export interface ManifestContent {
  readonly mediaType: string;
  /** What must be there for the manifest to be accepted. */
  readonly required: readonly string[];
  /** All that it keeps alive, which is `required` and content that may also come from elsewhere. */
  readonly references: readonly string[];
  readonly subject: string | undefined;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/** The platform's own images are sha256 throughout; a registry also keeps what others push. */
const anyDescriptor = descriptorSchema.extend({ digest: z.string().refine(isDigest) });
const anyManifest = imageManifestSchema.extend({
  config: anyDescriptor,
  layers: z.array(anyDescriptor),
  subject: anyDescriptor.optional(),
});
const anyIndex = imageIndexSchema.extend({
  manifests: z.array(anyDescriptor),
  subject: anyDescriptor.optional(),
});
const manifestTypes: readonly string[] = [mediaTypes.ociManifest, mediaTypes.dockerManifest];
const indexTypes: readonly string[] = [mediaTypes.ociIndex, mediaTypes.dockerManifestList];

/** @throws SpecFailure `MANIFEST_INVALID` */
export function readManifest(bytes: Uint8Array, contentType: string | undefined): ManifestContent {
  const value = parseJson(bytes);
  const stated = stringAt(value, 'mediaType');
  const mediaType = contentType ?? stated;
  if (mediaType === undefined || (stated !== undefined && stated !== mediaType)) {
    throw new SpecFailure('MANIFEST_INVALID', 'Content-Type and mediaType differ or are missing');
  }
  if (manifestTypes.includes(mediaType)) {
    const manifest = parse(anyManifest, value);
    const layers = manifest.layers.filter((layer) => !Array.isArray(layer.urls));
    return {
      mediaType,
      required: [manifest.config, ...layers].map((each) => each.digest),
      references: [manifest.config, ...manifest.layers].map((each) => each.digest),
      subject: manifest.subject?.digest,
      artifactType: manifest.artifactType ?? manifest.config.mediaType,
      annotations: manifest.annotations,
    };
  }
  if (indexTypes.includes(mediaType)) {
    const index = parse(anyIndex, value);
    const children = index.manifests.map((each) => each.digest);
    return {
      mediaType,
      required: children,
      references: children,
      subject: index.subject?.digest,
      artifactType: index.artifactType,
      annotations: index.annotations,
    };
  }
  throw new SpecFailure('MANIFEST_INVALID', 'a manifest of a type that is not known here');
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new SpecFailure('MANIFEST_INVALID', 'not JSON');
  }
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const where = result.error.issues[0]?.path.map(String).join('/') ?? '';
  throw new SpecFailure('MANIFEST_INVALID', `malformed at /${where}`.slice(0, 200));
}

function stringAt(value: unknown, key: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const found: unknown = Reflect.get(value, key);
  return typeof found === 'string' ? found : undefined;
}
