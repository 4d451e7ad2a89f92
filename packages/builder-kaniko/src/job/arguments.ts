import type { BuildJob } from '@cygni/core';
import { flagsOf } from '../flavours.ts';
import type { KanikoSettings } from '../options.ts';
import { attemptTag } from './names.ts';

/** The port of the registry proxy on the pod's loopback, and the name that the target registry has there. */
export const proxyPort = 5001;
export const proxyUpstream = 'target';

/** Set from a Secret: the address is a key to the source, and has no place in the Job. */
export const contextVariable = 'CYGNI_CONTEXT';

export interface ArgumentsInput {
  readonly job: BuildJob;
  readonly cacheRepository: string | null;
  readonly throughProxy: boolean;
  readonly settings: KanikoSettings;
}

function registryOf({ destination }: BuildJob, throughProxy: boolean): string {
  return throughProxy ? `127.0.0.1:${proxyPort}/${proxyUpstream}` : destination.host;
}

/** Where kaniko pushes to. */
export function kanikoDestination(job: BuildJob, throughProxy: boolean): string {
  const tag = attemptTag(job.buildId, job.attempt);
  return `${registryOf(job, throughProxy)}/${job.destination.repository}:${tag}`;
}

/** What kaniko is started with: one argument each, never a shell's words. */
export function kanikoArguments({
  job,
  cacheRepository,
  throughProxy,
  settings,
}: ArgumentsInput): string[] {
  const { destination } = job;
  const registry = registryOf(job, throughProxy);
  const insecure = new Set(settings.insecureRegistries);
  if (destination.insecure && !throughProxy) insecure.add(destination.host);
  const given = [
    // Never an address, which kaniko would fetch.
    `--dockerfile=./${job.dockerfile}`,
    `--destination=${kanikoDestination(job, throughProxy)}`,
    ...(job.target === null ? [] : [`--target=${job.target}`]),
    // Without a value kaniko would look in its own environment.
    ...Object.entries(job.buildArguments).map(([name, value]) => `--build-arg=${name}=${value}`),
    ...(cacheRepository === null || settings.cache === null
      ? []
      : [
          '--cache=true',
          `--cache-repo=${registry}/${cacheRepository}`,
          `--cache-ttl=${settings.cache.ttlHours}h`,
          '--compressed-caching=false',
        ]),
    ...settings.mirrors.map((mirror) => `--registry-mirror=${mirror}`),
    ...[...insecure].map((each) => `--insecure-registry=${each}`),
    ...(throughProxy ? [`--registry-map=${destination.host}=${registry}`] : []),
    // It looks credentials up by the host alone, and so may take those of another repository there.
    '--skip-push-permission-check',
    ...(flagsOf(settings.flavour).credentialHelpers ? ['--credential-helpers='] : []),
    '--snapshot-mode=redo',
    '--skip-unused-stages=true',
    '--push-retry=3',
    '--image-fs-extract-retry=3',
    '--image-download-retry=3',
    '--log-format=text',
  ];
  return [`--context=$(${contextVariable})`, ...given.map(literal)];
}

/** Kubernetes replaces `$(NAME)` in arguments, and `$$` by `$`. */
function literal(argument: string): string {
  return argument.replaceAll('$', '$$$$');
}
