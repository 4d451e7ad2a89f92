import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { type Files, sourceFromBytes, sourceOf, tar } from './support/archive.ts';
import { useAssembler } from './support/assembling.ts';
import { build, jobOf } from './support/build.ts';
import { pullImage } from './support/pulled-image.ts';

const assembler = useAssembler();

const files = (mtime: number, reversed = false): Files => {
  const entries: [string, Files[string]][] = [
    ['Dockerfile', { content: 'FROM scratch\nCOPY . /site/\nLABEL b=2 a=1\nEXPOSE 2 1\n', mtime }],
    ['z', { content: 'z'.repeat(500_000), mtime }],
    ['a/b', { content: 'compressible '.repeat(1000), mtime, uid: mtime % 1000 }],
    ['a/c', { link: 'b', mtime }],
  ];
  return Object.fromEntries(reversed ? entries.toReversed() : entries);
};

async function digestOf(source: Awaited<ReturnType<typeof sourceOf>>, buildArguments = {}) {
  const job = await jobOf(assembler.registry, { source, buildArguments });
  const { outcome } = await build(assembler.pipeline.pipeline, job);
  if (outcome.status === 'failed') throw new Error(outcome.message);
  return outcome.digest;
}

it('the same files give the same digest, whatever their times, owners, order and compression', async () => {
  const first = await digestOf(await sourceOf(files(1_000_000_000)));
  expect(await digestOf(await sourceOf(files(1_700_000_001, true)))).toBe(first);
  const stored = sourceFromBytes(gzipSync(await tar(files(5)), { level: 0 }));
  expect(await digestOf(stored)).toBe(first);
  // Written down, so that every machine that runs this test compares with every other.
  const { manifest } = await pullImage(
    assembler.registry,
    assembler.registry.at('acme/app'),
    first,
  );
  expect(manifest.layers.map((layer) => layer.digest)).toEqual([
    'sha256:2e90f0a35c246ddc563aca375249482db43ad73e32824aab3be427fb380b8b7e',
  ]);
});

it('another byte gives another digest', async () => {
  const first = await digestOf(await sourceOf(files(1)));
  expect(await digestOf(await sourceOf({ ...files(1), more: 'x' }))).not.toBe(first);
});

it('SOURCE_DATE_EPOCH sets all times', async () => {
  const built = await assembler.image(
    'FROM scratch\nCOPY a /\n',
    { a: '1' },
    { buildArguments: { SOURCE_DATE_EPOCH: '1234567890' } },
  );
  expect(built.mtimes).toEqual([1_234_567_890]);
  expect(built.config).toMatchObject({
    created: '2009-02-13T23:31:30Z',
    history: [{ created: '2009-02-13T23:31:30Z', created_by: 'COPY a /' }],
  });
});
