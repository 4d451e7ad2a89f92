import { createImageClient } from '@cygni/registry-oci';
import { expect, it } from 'vitest';
import { build, jobOf, openPipeline, tagImage } from './support/build.ts';
import { pullImage } from './support/pulled-image.ts';
import { startRegistry } from './support/registry.ts';

it('the assembler finds a base image at a mirror of a registry that is not there', async () => {
  await using registry = await startRegistry();
  await using images = createImageClient({
    retry: { retries: 0 },
    mirrors: { 'registry.invalid': [{ url: `http://${registry.host}/mirrored` }] },
  });
  await using local = await openPipeline({ engine: 'assemble', images });
  const mirrored = registry.at('mirrored/acme/base');
  const base = await build(
    local.pipeline,
    await jobOf(registry, {
      files: { Dockerfile: 'FROM scratch\nCOPY Dockerfile /base\n' },
      destination: mirrored,
    }),
  );
  if (base.outcome.status === 'failed') throw new Error(base.lines.join('\n'));
  await tagImage(registry, mirrored, base.outcome.digest, '1');

  const destination = registry.at('acme/app');
  const dockerfile = 'FROM registry.invalid/acme/base:1\nCOPY Dockerfile /app\n';
  const job = await jobOf(registry, { files: { Dockerfile: dockerfile }, destination });
  const { outcome, lines } = await build(local.pipeline, job);
  if (outcome.status === 'failed') throw new Error(lines.join('\n'));
  const image = await pullImage(registry, destination, outcome.digest);
  expect(Object.keys(image.contents)).toEqual(expect.arrayContaining(['base', 'app']));
});
