import { CygniError, hostPlatform, type ImageClient } from '@cygni/core';
import { z } from 'zod';

export const engineNames = ['docker', 'podman', 'buildah', 'assemble'] as const;
/** What turns the context into an image. `assemble` is built in and knows no RUN. */
export type EngineName = (typeof engineNames)[number];

const bytes = z.int().positive();

const limitsSchema = z
  .strictObject({
    /** Of the unpacked context. */
    contextBytes: bytes.default(4 * 1024 ** 3),
    /** Files, directories and links of the context, and of one image that is read. */
    entries: z.int().positive().default(500_000),
    /** Unpacked bytes to one byte of archive; counted from the first 64 MiB on. */
    ratio: z.number().positive().default(200),
    /** To unpack one archive: a context, a layer, what ADD unpacks. The build's own timeout may come first. */
    unpackSeconds: z.number().positive().max(7_200).default(600),
    /** Of all base images that a build reads, and of the layers that it writes. */
    imageBytes: bytes.default(16 * 1024 ** 3),
    /** Of the log of one run; what comes after is dropped, with a visible mark. */
    logBytes: bytes.default(64 * 1024 ** 2),
    /** Ended runs whose log can still be read. */
    endedRuns: z.int().min(0).default(32),
  })
  .prefault({});
export type Limits = z.output<typeof limitsSchema>;

const optionsSchema = z.strictObject({
  engine: z.enum([...engineNames, 'auto']),
  directory: z.string().min(1),
  platform: z
    .strictObject({ os: z.string().min(1), architecture: z.string().min(1) })
    .default(hostPlatform()),
  limits: limitsSchema,
});

export interface LocalPipelineOptions {
  /** `auto`: the first of docker, podman and buildah that works here, else `assemble`. */
  readonly engine: EngineName | 'auto';
  /** Pulls base images and pushes the result. */
  readonly images: ImageClient;
  /** Where builds work. Created if missing, and used by nobody else. */
  readonly directory: string;
  /** The platform of the images; by default this machine's. */
  readonly platform?: { readonly os: string; readonly architecture: string };
  readonly limits?: z.input<typeof limitsSchema>;
}

/** @throws `invalid_configuration` */
export function parseOptions({ images, ...rest }: LocalPipelineOptions) {
  const parsed = optionsSchema.safeParse(rest);
  if (!parsed.success) {
    throw new CygniError(
      'invalid_configuration',
      `createLocalPipeline: ${z.prettifyError(parsed.error)}`,
      { cause: parsed.error },
    );
  }
  return { ...parsed.data, images };
}
