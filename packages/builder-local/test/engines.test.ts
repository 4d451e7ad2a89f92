import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build, call, jobOf, openPipeline } from './support/build.ts';
import { engineIsHere } from './support/engine-is-here.ts';
import { useEngines } from './support/engines.ts';
import { pullImage } from './support/pulled-image.ts';
import { startRegistry, type TestRegistry } from './support/registry.ts';
import { staticBinary } from './support/static-binary.ts';
import { waitFor } from './support/wait-for.ts';

let registry: TestRegistry;
let esbuild: Buffer;

beforeAll(async () => {
  registry = await startRegistry();
  esbuild = await readFile(staticBinary);
});
afterAll(() => registry[Symbol.asyncDispose]());

describe.each(useEngines())('$title', ({ engine, binary }) => {
  const isHere = engineIsHere(binary);

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
    });
    const { outcome, lines } = await build(local.pipeline, job);
    if (outcome.status === 'failed') throw new Error(lines.join('\n'));
    expect(lines.some((line) => /\d+\.\d+\.\d+$/.test(line))).toBe(true);
    const image = await pullImage(registry, job.destination, outcome.digest);
    expect(image.files).toMatchObject({ esbuild: 'file 0755 0:0' });
    expect(image.config.config?.Labels).toMatchObject({ message: '--insecure $(touch /tmp/x)' });
    expect(image.config.config?.Entrypoint).toEqual(['/esbuild']);
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
