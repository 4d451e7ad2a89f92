import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createLocalPipeline, detectEngine } from '@cygni/builder-local';
import { createImageClient } from '@cygni/registry-oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call } from './support/build.ts';
import { engineIsHere } from './support/engine-is-here.ts';

let programs: string;
const path = process.env.PATH;

beforeEach(async () => {
  programs = await mkdtemp(join(tmpdir(), 'cygni-path-'));
  process.env.PATH = programs;
});
afterEach(async () => {
  process.env.PATH = path;
  delete process.env.BUILDAH_ISOLATION;
  await rm(programs, { recursive: true, force: true });
});

async function install(name: string, script: string): Promise<void> {
  await writeFile(join(programs, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(programs, name), 0o755);
}

describe('the engine that is found', () => {
  it('is the assembler where nothing is installed', () => {
    expect(detectEngine()).toBe('assemble');
  });

  it('is not a docker whose daemon does not answer, nor a podman that cannot RUN', async () => {
    await install('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
    await install(
      'podman',
      '[ "$1" = --version ] && exit 0; echo "cgroups not supported" >&2; exit 125',
    );
    expect(detectEngine()).toBe('assemble');
    const images = createImageClient();
    const directory = join(programs, 'builds');
    for (const [engine, says] of [
      ['docker', 'Cannot connect to the Docker daemon'],
      ['podman', 'cgroups not supported'],
      ['buildah', 'it is not installed'],
    ] as const) {
      const pipeline = createLocalPipeline({ engine, images, directory });
      await expect(pipeline.open(call())).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining(says),
      });
      await pipeline.close();
    }
    const pipeline = createLocalPipeline({ engine: 'auto', images, directory });
    expect(pipeline).toMatchObject({ name: 'local (assemble)', supports: { run: false } });
    await images.close();
  });

  it('is docker where its daemon answers', async () => {
    await install('docker', 'echo 28.0.0');
    expect(detectEngine()).toBe('docker');
  });

  it.runIf(engineIsHere('buildah'))('is a buildah that can RUN', async () => {
    process.env.BUILDAH_ISOLATION = 'chroot';
    await install('docker', 'exit 1');
    await install('podman', 'exit 1');
    process.env.PATH = `${programs}${delimiter}${path}`;
    expect(detectEngine()).toBe('buildah');
  });
});
