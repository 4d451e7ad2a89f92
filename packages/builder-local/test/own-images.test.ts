import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build, jobOf, openPipeline, tagImage } from './support/build.ts';
import { engineIsHere } from './support/engine-is-here.ts';
import { useEngines } from './support/engines.ts';
import { pullImage } from './support/pulled-image.ts';
import { startRegistry, type TestRegistry } from './support/registry.ts';
import { staticBinary } from './support/static-binary.ts';

const secret = 'canary-5f2b';
let registry: TestRegistry;

beforeAll(async () => {
  registry = await startRegistry(`acme:${secret}`);
});
afterAll(() => registry[Symbol.asyncDispose]());

const at = (repository: string) => ({
  ...registry.at(repository),
  credentials: {
    username: 'acme',
    password: secret,
    expiresAt: null,
    reach: 'account' as const,
  },
});

describe.each(useEngines())('$title', ({ engine, binary }) => {
  it.runIf(engineIsHere(binary))(
    'builds on a private image of the tenant, whose credentials no RUN can read',
    async () => {
      await using local = await openPipeline({ engine, images: registry.images });
      const esbuild = { content: await readFile(staticBinary), mode: 0o755 };
      const base = await build(
        local.pipeline,
        await jobOf(registry, {
          files: { Dockerfile: 'FROM scratch\nCOPY esbuild /esbuild\n', esbuild },
          destination: at('acme/private-base'),
        }),
      );
      if (base.outcome.status === 'failed') throw new Error(base.lines.join('\n'));
      await tagImage(registry, at('acme/private-base'), base.outcome.digest, '1');
      const destination = at('acme/app');
      const job = await jobOf(registry, {
        destination,
        files: {
          Dockerfile: [
            `FROM ${registry.host}/acme/private-base:1`,
            'COPY Dockerfile /seen/Dockerfile',
            'RUN ["/esbuild", "--version"]',
          ].join('\n'),
        },
      });
      const { outcome, lines } = await build(local.pipeline, job);
      if (outcome.status === 'failed') throw new Error(lines.join('\n'));
      const image = await pullImage(registry, destination, outcome.digest);
      expect(Object.keys(image.contents)).toEqual(
        expect.arrayContaining(['esbuild', 'seen/Dockerfile']),
      );
      const text = JSON.stringify([lines, image.config]);
      expect(text).not.toContain(secret);
      expect(text).not.toContain(Buffer.from(`acme:${secret}`).toString('base64'));

      const stolen = await build(local.pipeline, { ...job, attempt: 2, tenantId: 'other' });
      expect(stolen.outcome).toMatchObject({ status: 'failed', reason: 'image_pull' });
    },
  );
});
