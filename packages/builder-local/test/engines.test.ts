import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build, call, jobOf, openPipeline } from './support/build.ts';
import { engineIsHere } from './support/engine-is-here.ts';
import { pullImage } from './support/pulled-image.ts';
import { startRegistry, type TestRegistry } from './support/registry.ts';
import { waitFor } from './support/wait-for.ts';

/** A static binary that every checkout has. */
const binary = createRequire(import.meta.url).resolve(
  `@esbuild/linux-${process.arch === 'x64' ? 'x64' : 'arm64'}/bin/esbuild`,
);

let registry: TestRegistry;
let esbuild: Buffer;
let shims: string;
const before = { isolation: process.env.BUILDAH_ISOLATION, path: process.env.PATH };

beforeAll(async () => {
  registry = await startRegistry();
  esbuild = await readFile(binary);
  // Works everywhere, also where an OCI runtime does not.
  process.env.BUILDAH_ISOLATION = 'chroot';
  shims = await mkdtemp(join(tmpdir(), 'cygni-docker-'));
  await writeFile(
    join(shims, 'docker'),
    '#!/bin/sh\nif [ "$1" = version ]; then exec podman version --format ok; fi\nexec podman "$@"\n',
  );
  await chmod(join(shims, 'docker'), 0o755);
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await rm(shims, { recursive: true, force: true });
  if (before.isolation === undefined) delete process.env.BUILDAH_ISOLATION;
  else process.env.BUILDAH_ISOLATION = before.isolation;
});

const cases = [
  { engine: 'buildah', binary: 'buildah', title: 'buildah', usesShim: false },
  { engine: 'podman', binary: 'podman', title: 'podman', usesShim: false },
  {
    engine: 'docker',
    binary: 'podman',
    title: "docker (on podman's docker-compatible command line)",
    usesShim: true,
  },
] as const;

describe.each(cases)('$title', ({ engine, binary: needed, usesShim }) => {
  const isHere = engineIsHere(needed);

  beforeAll(() => {
    process.env.PATH = usesShim ? `${shims}${delimiter}${before.path}` : before.path;
  });
  afterAll(() => {
    process.env.PATH = before.path;
  });

  it.runIf(isHere)('runs RUN, and pushes by digest and by tag', async () => {
    await using local = await openPipeline({ engine, images: registry.images });
    expect(local.pipeline.supports.run).toBe(true);
    const job = await jobOf(registry, {
      destination: registry.at(`acme/${engine}`),
      files: {
        Dockerfile: [
          'FROM scratch',
          'ARG MESSAGE',
          'COPY esbuild /esbuild',
          'RUN ["/esbuild", "--version"]',
          'LABEL message=$MESSAGE',
          'ENTRYPOINT ["/esbuild"]',
        ].join('\n'),
        esbuild: { content: esbuild, mode: 0o755 },
      },
      buildArguments: { MESSAGE: '--insecure $(touch /tmp/x)' },
      tags: ['one', 'two'],
    });
    const { outcome, lines } = await build(local.pipeline, job);
    expect(outcome).toMatchObject({ status: 'succeeded' });
    expect(lines.some((line) => /\d+\.\d+\.\d+$/.test(line))).toBe(true);
    for (const tag of ['one', 'two']) {
      const image = await pullImage(registry, job.destination, tag);
      expect(image).toMatchObject(outcome.status === 'succeeded' ? { digest: outcome.digest } : {});
      expect(image.files).toMatchObject({ esbuild: 'file 0755 0:0' });
      expect(image.config.config?.Labels).toMatchObject({ message: '--insecure $(touch /tmp/x)' });
      expect(image.config.config?.Entrypoint).toEqual(['/esbuild']);
    }
    expect(await local.remains()).toEqual([]);
  });

  it.runIf(isHere)('blames the tenant for a RUN that fails', async () => {
    await using local = await openPipeline({ engine, images: registry.images });
    const { outcome } = await build(
      local.pipeline,
      await jobOf(registry, {
        files: {
          Dockerfile: 'FROM scratch\nCOPY esbuild /esbuild\nRUN ["/esbuild", "--no-such-flag"]\n',
          esbuild: { content: esbuild, mode: 0o755 },
        },
      }),
    );
    expect(outcome).toMatchObject({ status: 'failed', reason: 'user_error' });
  });

  it.runIf(isHere)('blames the tenant for a bad Dockerfile', async () => {
    await using local = await openPipeline({ engine, images: registry.images });
    for (const Dockerfile of ['FROM scratch\nFROG a\n', 'FROM scratch\nCOPY missing /\n']) {
      const { outcome } = await build(
        local.pipeline,
        await jobOf(registry, { files: { Dockerfile } }),
      );
      expect(outcome).toMatchObject({ status: 'failed', reason: 'user_error' });
    }
  });

  it.runIf(isHere)('says image_pull for a base image that is not there', async () => {
    await using local = await openPipeline({ engine, images: registry.images });
    const files = { Dockerfile: `FROM ${registry.host}/acme/nothing:1\nCOPY Dockerfile /\n` };
    const { outcome } = await build(local.pipeline, await jobOf(registry, { files }));
    expect(outcome).toMatchObject({ status: 'failed', reason: 'image_pull' });
  });

  it.runIf(isHere)('follows no link of the context to a file of this machine', async () => {
    await using local = await openPipeline({ engine, images: registry.images });
    const files = { Dockerfile: { link: '/etc/passwd' }, '.dockerignore': { link: '/etc/group' } };
    const { outcome, lines } = await build(local.pipeline, await jobOf(registry, { files }));
    expect(outcome).toMatchObject({ status: 'failed', reason: 'user_error' });
    expect(lines.join('\n')).not.toContain('root');
  });

  it.runIf(isHere)(
    'leaves no process, mount or file behind when it is cancelled in a RUN',
    async () => {
      await using local = await openPipeline({ engine, images: registry.images });
      const mark = `watched-${engine}.js`;
      const run = await local.pipeline.start(
        await jobOf(registry, {
          files: {
            Dockerfile: `FROM scratch\nCOPY . /\nRUN ["/esbuild", "--watch=forever", "/${mark}", "--outfile=/out.js"]\n`,
            esbuild: { content: esbuild, mode: 0o755 },
            [mark]: 'console.log(1)',
          },
        }),
        call(),
      );
      await waitFor(() => processes(mark).length > 0);
      await run.cancel(call());
      expect(await run.wait(call())).toMatchObject({ status: 'failed', reason: 'cancelled' });
      await waitFor(() => processes(mark).length === 0);
      expect(await readFile('/proc/mounts', 'utf8')).not.toContain(local.directory);
      expect(await local.remains()).toEqual([]);
    },
  );
});

function processes(mark: string): readonly string[] {
  return execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(mark) && line.includes('--watch'));
}
