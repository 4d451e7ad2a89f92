import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineEnvironment } from '@cygni/core/container-engine';
import { BuildFault } from '../build-fault.ts';
import { pushImage } from '../image/push-image.ts';
import { buildFlags, writeBuildFiles } from './build-flags.ts';
import { removeStorage } from './end-containers.ts';
import type { Engine, EngineJob } from './engine.ts';
import { engineFailure } from './engine-failure.ts';
import { findOwnImages } from './own-images.ts';
import { readLayout } from './read-layout.ts';
import { writeAuthFile } from './registry-auth.ts';
import { requireEngine } from './require-engine.ts';
import { runProcess } from './run-process.ts';

/**
 * podman and buildah. Each build has an image storage of its own: nothing of one tenant's can be seen by
 * another's, and what a cancelled build leaves can be found. The engine never has the credentials while it
 * runs the tenant's RUN: the image is written to disk as an OCI layout and pushed from this process.
 */
export function createContainersEngine(name: 'podman' | 'buildah'): Engine {
  const storage = (directory: string) => [
    `--root=${join(directory, 'storage')}`,
    `--runroot=${runRoot(directory)}`,
  ];

  async function run(input: EngineJob, words: readonly string[], isQuiet = false) {
    const result = await runProcess({
      command: name,
      arguments: [...storage(input.directory), ...words],
      environment: engineEnvironment({ TMPDIR: input.directory }),
      directory: input.directory,
      onLine: isQuiet ? async () => {} : input.write,
      signal: input.call.signal,
    });
    if (result.exitCode !== 0) throw engineFailure(name, result);
  }

  async function pullOwnImages(input: EngineJob): Promise<void> {
    for (const { reference, location } of await findOwnImages(input)) {
      const authFile = join(input.directory, 'auth.json');
      await writeAuthFile(authFile, location);
      const tls = location.insecure ? ['--tls-verify=false'] : [];
      try {
        await run(input, ['pull', '--quiet', `--authfile=${authFile}`, ...tls, '--', reference]);
      } finally {
        await rm(authFile, { force: true });
      }
    }
  }

  return {
    name,
    supportsRun: true,
    check: () => requireEngine(name),

    async build(input) {
      const { directory, contextDirectory, images, job, write, call } = input;
      const files = await writeBuildFiles(input);
      await pullOwnImages(input);
      const noCredentials = join(directory, 'no-auth.json');
      await writeAuthFile(noCredentials, null);
      await run(input, [
        'build',
        '--format=oci',
        '--layers=false',
        `--authfile=${noCredentials}`,
        `--ignorefile=${files.ignoreFile}`,
        ...buildFlags(input, files),
        '--',
        contextDirectory,
      ]);
      const id = (await readFile(files.idFile, 'utf8')).trim();
      if (!/^(?:sha256:)?[0-9a-f]{64}$/.test(id)) {
        throw new BuildFault('platform_error', `${name} did not say which image it built`);
      }
      const layout = join(directory, 'layout');
      const digestFile = join(directory, 'digest');
      await run(input, ['push', `--digestfile=${digestFile}`, '--', id, `oci:${layout}`], true);
      const image = await readLayout(layout, (await readFile(digestFile, 'utf8')).trim());
      return pushImage(image, { images, job, write, call });
    },

    async cleanUp(directory, call) {
      await removeStorage(directory, [name, 'unshare'], call);
      await removeStorage(runRoot(directory), [name, 'unshare'], call);
    },
  };
}

/** podman refuses a path of more than 50 characters here, so it cannot lie in the build's directory. */
function runRoot(directory: string): string {
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  return join(tmpdir(), `cygni-${name}`);
}
