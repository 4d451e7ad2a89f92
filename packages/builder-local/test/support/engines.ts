import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { engineIsHere } from './engine-is-here.ts';

const engines = [
  { engine: 'buildah', binary: 'buildah', title: 'buildah' },
  { engine: 'podman', binary: 'podman', title: 'podman' },
  {
    engine: 'docker',
    binary: 'podman',
    title: 'docker (on podman’s docker-compatible command line)',
  },
] as const;

/**
 * The engines that run RUN. There is no docker daemon to test with: a `docker` that is podman, with a
 * storage of its own, comes first on the PATH. RUN is isolated by chroot, which works on every machine.
 */
export function useEngines(): typeof engines {
  const before = { isolation: process.env.BUILDAH_ISOLATION, path: process.env.PATH };
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cyg-docker-'));
    const podman = `exec podman --root=${directory}/s --runroot=${directory}/r`;
    const script = [
      '#!/bin/sh',
      // `podman version` does not know docker's fields.
      `[ "$1" = version ] && ${podman} version`,
      // docker's daemon speaks plain HTTP to registries of its own machine.
      `[ "$1" = build ] && shift && ${podman} build --tls-verify=false "$@"`,
      `${podman} "$@"`,
    ].join('\n');
    await writeFile(join(directory, 'docker'), script);
    await chmod(join(directory, 'docker'), 0o755);
    process.env.BUILDAH_ISOLATION = 'chroot';
    process.env.PATH = `${directory}${delimiter}${before.path}`;
  });
  afterAll(async () => {
    process.env.PATH = before.path;
    if (before.isolation === undefined) delete process.env.BUILDAH_ISOLATION;
    else process.env.BUILDAH_ISOLATION = before.isolation;
    if (engineIsHere('podman')) {
      execFileSync(join(directory, 'docker'), ['system', 'reset', '--force'], { stdio: 'ignore' });
    }
    await rm(directory, { recursive: true, force: true });
  });
  return engines;
}
