import { CygniError, type DeployableRevision, type ImageConfig } from '@cygni/core';
import { expandVariables } from './expand-variables.ts';

/** What to execute in an image's root, and how. */
export interface ImageCommand {
  readonly argv: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  /** As the image says it: `name`, `uid`, `name:group`, `uid:gid`; empty for root. */
  readonly user: string;
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** @throws `invalid_input` if the image and the revision name no command */
export function composeCommand(
  image: ImageConfig,
  revision: Pick<DeployableRevision, 'environment' | 'arguments'>,
  port: number,
): ImageCommand {
  const { config } = image;
  const environment = Object.fromEntries([
    ['PATH', defaultPath],
    ...(config?.Env ?? []).flatMap((entry) => {
      const at = entry.indexOf('=');
      return at > 0 ? [[entry.slice(0, at), entry.slice(at + 1)] as const] : [];
    }),
    ...Object.entries(revision.environment),
    ['PORT', String(port)],
  ] satisfies (readonly [string, string])[]);
  const [file, ...rest] = [
    ...(config?.Entrypoint ?? []),
    ...(revision.arguments ?? config?.Cmd ?? []),
  ].map((argument) => expandVariables(argument, environment));
  if (file === undefined || file === '') {
    throw new CygniError('invalid_input', 'the image names no command and the revision neither');
  }
  return {
    argv: [file, ...rest],
    environment,
    workingDirectory: config?.WorkingDir || '/',
    user: config?.User ?? '',
  };
}
