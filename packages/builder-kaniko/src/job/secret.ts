import type { BuildJob, RegistryCredentials } from '@cygni/core';
import type { V1Secret } from '@kubernetes/client-node';
import type { KanikoSettings } from '../options.ts';
import { proxyPort, proxyUpstream } from './arguments.ts';
import { attemptTag, jobName, labelsOf } from './names.ts';

export const secretKeys = {
  context: 'context',
  dockerConfig: 'config.json',
  certificates: 'ca.pem',
  proxyConfig: 'proxy.json',
} as const;

/** What a build may be told. By repository, since credentials may be good for one only. */
export interface BuildSecrets {
  readonly context: string;
  /** Of the destination, and of the cache's repository where there is one. */
  readonly credentials: ReadonlyMap<string, RegistryCredentials>;
  /** For pulls only: of the tenant's own repositories that the build takes images from. */
  readonly baseImages: ReadonlyMap<string, RegistryCredentials>;
  readonly throughProxy: boolean;
}

/** The content of a build's Secret. Pure. */
export function secretData(
  job: BuildJob,
  { context, credentials, baseImages, throughProxy }: BuildSecrets,
  settings: KanikoSettings,
): Record<string, string> {
  const visible = throughProxy ? [] : [...baseImages, ...credentials];
  return {
    [secretKeys.context]: context,
    [secretKeys.dockerConfig]: dockerConfig(job, new Map(visible)),
    ...(settings.certificateAuthority !== null && {
      [secretKeys.certificates]: settings.certificateAuthority,
    }),
    ...(throughProxy && { [secretKeys.proxyConfig]: proxyConfig(job, credentials, baseImages) }),
  };
}

/** Owned by the Job, and so deleted with it. */
export function secretManifest(
  job: BuildJob,
  owner: { readonly uid: string },
  data: Record<string, string>,
  namespace: string,
): V1Secret {
  const name = jobName(job.buildId, job.attempt);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace,
      labels: labelsOf(job),
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name, uid: owner.uid }],
    },
    type: 'Opaque',
    stringData: data,
  };
}

/**
 * The path is part of the key, so that each repository has its own. kaniko pushes with those of the host, which would
 * be anybody's if they were not there too.
 */
function dockerConfig(
  { destination: { host, repository: target } }: BuildJob,
  credentials: ReadonlyMap<string, RegistryCredentials>,
): string {
  const auths = [...credentials]
    .filter(([, { username, password }]) => username !== '' || password !== '')
    .flatMap(([repository, { username, password }]) => {
      const entry = { auth: Buffer.from(`${username}:${password}`).toString('base64') };
      const keys = [`${host}/${repository}`, ...(repository === target ? [host] : [])];
      return keys.map((key) => [key, entry]);
    });
  return JSON.stringify({ auths: Object.fromEntries(auths) });
}

function proxyConfig(
  job: BuildJob,
  credentials: ReadonlyMap<string, RegistryCredentials>,
  baseImages: ReadonlyMap<string, RegistryCredentials>,
): string {
  const { host, insecure, repository: target } = job.destination;
  const account = credentials.get(target);
  return JSON.stringify({
    port: proxyPort,
    upstreams: [
      {
        name: proxyUpstream,
        origin: `${insecure ? 'http' : 'https'}://${host}`,
        ...(account && {
          credentials: {
            username: account.username,
            password: account.password,
            expiresAt: account.expiresAt,
          },
        }),
        repositories: [
          ...[...credentials.keys()].map((name) => ({
            name,
            actions: ['pull', 'push'],
            ...(name === target && { tags: [attemptTag(job.buildId, job.attempt)] }),
          })),
          ...[...baseImages.keys()]
            .filter((name) => !credentials.has(name))
            .map((name) => ({ name, actions: ['pull'] })),
        ],
      },
    ],
  });
}
