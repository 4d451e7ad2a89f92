import { CygniError, type ImageClient, type Logger } from '@cygni/core';
import { z } from 'zod';

export interface LocalDeployerOptions {
  /** `auto` (default) takes docker, else podman, else namespaces: the first that works here. */
  readonly runtime?: 'auto' | 'docker' | 'podman' | 'namespaces';
  /** Reads the images to run. Borrowed: it is not closed. */
  readonly images: ImageClient;
  /** Holds state, logs and unpacked images. One deployer at a time; it must survive restarts. */
  readonly directory: string;
  /** The address on which services are published. Default `127.0.0.1`. */
  readonly host?: string;
  /** Takes what happens outside any call, such as an instance that exits. Default: nowhere. */
  readonly log?: Logger;
}

export type Settings = Required<LocalDeployerOptions>;

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

const optionsSchema = z.strictObject({
  runtime: z.enum(['auto', 'docker', 'podman', 'namespaces']).default('auto'),
  images: z.custom<ImageClient>(
    (value) => typeof value === 'object' && value !== null && 'getManifest' in value,
    'an ImageClient',
  ),
  directory: z
    .string()
    .min(1)
    .refine((value) => !value.includes('\0'), 'a path'),
  host: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1'),
  log: z
    .custom<Logger>((value) => typeof value === 'object' && value !== null && 'info' in value)
    .default(silent),
});

/** @throws `invalid_configuration`, naming the option and never its value */
export function parseOptions(options: LocalDeployerOptions): Settings {
  const result = optionsSchema.safeParse(options);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new CygniError('invalid_configuration', `createLocalDeployer: ${issues.join('; ')}`);
}
