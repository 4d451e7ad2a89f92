import { spawnSync } from 'node:child_process';
import type { EngineName } from '../options.ts';
import { engineEnvironment } from './engine-environment.ts';

const timeoutMs = 5000;

/** What an engine must answer to be usable: a client without its daemon, or without storage, does not. */
export const probes: Readonly<Record<Exclude<EngineName, 'assemble'>, readonly string[]>> = {
  docker: ['version', '--format={{.Server.Version}}'],
  podman: ['info', '--format={{.Host.OS}}'],
  buildah: ['info', '--format={{.host.os}}'],
};

/**
 * The first of docker, podman and buildah that works on this machine, else `assemble`.
 * Synchronous, so that a factory can state what it supports; takes up to 5 s for each that hangs.
 */
export function detectEngine(): EngineName {
  for (const name of ['docker', 'podman', 'buildah'] as const) {
    const { status } = spawnSync(name, probes[name], {
      timeout: timeoutMs,
      stdio: 'ignore',
      env: engineEnvironment(),
    });
    if (status === 0) return name;
  }
  return 'assemble';
}
