import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RepositoryLocation } from '@cygni/core';
import { engineEnvironment } from '@cygni/core/container-engine';
import { BuildFault, isBuildFault } from '../build-fault.ts';
import { pushImage } from '../image/push-image.ts';
import { buildFlags, writeBuildFiles } from './build-flags.ts';
import type { Engine, EngineJob } from './engine.ts';
import { engineFailure } from './engine-failure.ts';
import { findOwnImages } from './own-images.ts';
import { readSavedImage } from './read-saved-image.ts';
import { writeAuthFile } from './registry-auth.ts';
import { requireEngine } from './require-engine.ts';
import { runProcess } from './run-process.ts';

const removeMs = 10_000;

/**
 * Docker, and whatever else speaks its command line (podman where it is only a client of a machine elsewhere).
 * The image is saved to disk and pushed from this process: pushing by digest needs no tag then, the daemon
 * needs no configuration for the registry, and it never has the credentials to write.
 */
export function createDockerEngine(name: 'docker' | 'podman'): Engine {
  async function run(input: EngineJob, words: readonly string[], isQuiet: boolean) {
    const result = await runProcess({
      command: name,
      arguments: words,
      environment: engineEnvironment({
        DOCKER_CONFIG: join(input.directory, 'docker-config'),
        REGISTRY_AUTH_FILE: join(input.directory, 'docker-config', 'config.json'),
        BUILDKIT_PROGRESS: 'plain',
      }),
      directory: input.directory,
      onLine: isQuiet ? async () => {} : input.write,
      signal: input.call.signal,
    });
    if (result.exitCode !== 0) throw engineFailure(name, result);
  }

  /** RUN happens in the daemon's containers, where this file does not exist. */
  async function writeCredentials(input: EngineJob): Promise<void> {
    const own = await findOwnImages(input);
    const location: RepositoryLocation | undefined = own.find(
      (each) => each.location.credentials,
    )?.location;
    await mkdir(join(input.directory, 'docker-config'), { mode: 0o700 });
    await writeAuthFile(join(input.directory, 'docker-config', 'config.json'), location ?? null);
  }

  async function removeImage(input: EngineJob, id: string): Promise<void> {
    try {
      const call = { ...input.call, signal: AbortSignal.timeout(removeMs) };
      await run({ ...input, call }, ['image', 'rm', '--force', '--', id], true);
    } catch (error) {
      input.call.log.warn({ err: error, id }, 'cannot remove a built image from the engine');
    }
  }

  return {
    name,
    supportsRun: true,
    check: () => requireEngine(name),

    async build(input) {
      const { directory, contextDirectory, images, job, write, call, limits } = input;
      const files = await writeBuildFiles(input);
      await writeCredentials(input);
      await run(
        input,
        ['build', '--pull', ...buildFlags(input, files), '--', contextDirectory],
        false,
      );
      const id = (await readFile(files.idFile, 'utf8')).trim();
      if (!/^(?:sha256:)?[0-9a-f]{64}$/.test(id)) {
        throw new BuildFault('platform_error', `${name} did not say which image it built`);
      }
      const archive = join(directory, 'image.tar');
      try {
        await run(input, ['image', 'save', `--output=${archive}`, '--', id], true);
      } finally {
        await removeImage(input, id);
      }
      const unpacked = join(directory, 'saved');
      const image = await readSavedImage(archive, unpacked, limits, call.signal).catch((error) => {
        if (isBuildFault(error))
          throw new BuildFault('platform_error', error.message, { cause: error });
        throw error;
      });
      return pushImage(image, { images, job, write, call });
    },

    cleanUp: (path) => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  };
}
