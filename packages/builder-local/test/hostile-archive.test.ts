import { access } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Files, sourceFromBytes, sourceOf, tar } from './support/archive.ts';
import { build, jobOf, openPipeline, type TestPipeline } from './support/build.ts';
import { startRegistry, type TestRegistry } from './support/registry.ts';

let registry: TestRegistry;
let local: TestPipeline;
const mebibyte = 1024 ** 2;
const limits = { contextBytes: 96 * mebibyte, entries: 2000, ratio: 20 };

beforeAll(async () => {
  registry = await startRegistry();
  local = await openPipeline({ engine: 'assemble', images: registry.images, limits });
});
afterAll(async () => {
  await local[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

async function outcomeOf(source: Awaited<ReturnType<typeof sourceOf>>) {
  const { outcome } = await build(local.pipeline, await jobOf(registry, { source }));
  expect(await local.remains()).toEqual([]);
  return outcome;
}

const Dockerfile = 'FROM scratch\nCOPY . /\n';
const outside = join(tmpdir(), 'cygni-must-not-exist');

describe('an archive is refused, and nothing is written outside, if it has', () => {
  const cases: readonly (readonly [string, Files, string])[] = [
    ['a name that leaves it', { '../cygni-must-not-exist': 'x' }, 'leaves it'],
    ['a name that leaves it later', { 'a/../../cygni-must-not-exist': 'x' }, 'leaves it'],
    ['an absolute name', { [outside]: 'x' }, 'absolute name'],
    [
      'a file through a link',
      { a: { link: tmpdir() }, 'a/cygni-must-not-exist': 'x' },
      'written through a',
    ],
    [
      'a directory over a link',
      { a: { link: tmpdir() }, 'a/': {}, 'a/cygni-must-not-exist': 'x' },
      'there twice',
    ],
    ['a file through a file', { a: '1', 'a/b': '2' }, 'written through a'],
    ['a hard link to the outside', { a: { type: 'link', link: '../../etc/passwd' } }, 'leaves it'],
    [
      'a hard link to an absolute name',
      { a: { type: 'link', link: '/etc/passwd' } },
      'absolute name',
    ],
    [
      'a hard link to a link',
      { b: { link: '/etc/passwd' }, a: { type: 'link', link: 'b' } },
      'which is no file',
    ],
    ['a device', { null: { type: 'character-device' } }, 'is a character-device'],
    ['a pipe', { pipe: { type: 'fifo' } }, 'is a fifo'],
    ['two names that look the same', { 'caf\u00e9': '1', 'cafe\u0301': '2' }, 'look the same'],
    ['a name that is too deep', { [`${'a/'.repeat(300)}b`]: '1' }, 'too long'],
    ['a name that is too long for a file', { ['n'.repeat(300)]: '1' }, 'too long'],
    [
      'too many entries',
      Object.fromEntries(Array.from({ length: 2001 }, (_, n) => [`f${n}`, ''])),
      'more than 2000 entries',
    ],
    ['too many bytes for its size', { zeros: Buffer.alloc(80 * mebibyte) }, 'unpacks to more than'],
    [
      'a header that is too large',
      { [`h/${'n'.repeat(6 * mebibyte)}`]: '' },
      'Header exceeds max size',
    ],
  ];

  it.each(cases)('%s', async (_, files, says) => {
    expect(await outcomeOf(await sourceOf({ ...files, Dockerfile }))).toMatchObject({
      status: 'failed',
      reason: 'user_error',
      message: expect.stringContaining(says),
    });
    await expect(access(outside)).rejects.toThrow('ENOENT');
  });
});

it('a link that is written over by a file is replaced, not followed', async () => {
  const twice = Buffer.concat([
    (await tar({ a: { link: outside } })).subarray(0, 512),
    await tar({ a: 'x', Dockerfile }),
  ]);
  expect(await outcomeOf(sourceFromBytes(gzipSync(twice)))).toMatchObject({ status: 'succeeded' });
  await expect(access(outside)).rejects.toThrow('ENOENT');
});

describe('what is no archive is the tenant’s fault', () => {
  it('plain text, a cut archive, a cut compression, noise', async () => {
    const whole = await tar({ Dockerfile, big: Buffer.alloc(100_000, 'x') });
    const packed = gzipSync(whole);
    const sources = [
      Buffer.from('hello'),
      gzipSync('hello'),
      gzipSync(whole.subarray(0, 50_000)),
      packed.subarray(0, packed.length - 20),
      Buffer.concat([packed.subarray(0, 20), Buffer.alloc(100, 7)]),
      gzipSync(Buffer.alloc(4096, 'x')),
    ];
    for (const bytes of sources) {
      expect(await outcomeOf(sourceFromBytes(bytes))).toMatchObject({
        status: 'failed',
        reason: 'user_error',
      });
    }
  });
});

describe('an archive that is not the one uploaded is the platform’s fault', () => {
  it('other bytes, fewer, more', async () => {
    const source = await sourceOf({ Dockerfile });
    const other = sourceFromBytes(gzipSync('other'));
    for (const each of [
      { ...source, sha256: other.sha256 },
      { ...source, sizeBytes: source.sizeBytes + 1 },
      { ...source, sizeBytes: source.sizeBytes - 1 },
    ]) {
      expect(await outcomeOf(each)).toMatchObject({ status: 'failed', reason: 'platform_error' });
    }
  });
});
