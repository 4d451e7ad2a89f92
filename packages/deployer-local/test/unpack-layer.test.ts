import { lstat, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { hostPlatform, mediaTypes, readImage } from '@cygni/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveUser } from '../src/resolve-user.ts';
import { createRootStore, type RootStore } from '../src/root-store.ts';
import { call } from './fixtures/harness.ts';
import {
  createMemoryImages,
  type MemoryImages,
  type TestEntry,
  type TestImage,
} from './fixtures/memory-images.ts';

describe('unpacking an image', () => {
  let folder: string;
  let images: MemoryImages;
  let store: RootStore;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cygni-unpack-'));
    images = createMemoryImages();
    store = createRootStore(join(folder, 'roots'), { kind: 'single' }, images);
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function unpack(...layers: TestEntry[][]): Promise<string> {
    return unpackImage({ layers });
  }
  async function unpackImage(image: TestImage): Promise<string> {
    const digest = await images.add(image);
    const found = await readImage(images, images.location, digest, hostPlatform(), call());
    return store.ensure(found, images.location, call());
  }
  const file = (name: string, content = name): TestEntry => ({ name, content });
  const symlink = (name: string, linkname: string): TestEntry => ({
    name,
    type: 'symlink',
    linkname,
  });
  const link = (name: string, linkname: string): TestEntry => ({ name, type: 'link', linkname });
  const namesIn = async (path: string) => (await readdir(path)).sort();
  const own = ['dev', 'etc', 'proc', 'sys', 'tmp'];

  it('puts layers over one another, and whiteouts hide only what is below', async () => {
    const root = await unpack(
      [file('a/keep'), file('a/gone'), file('b/one'), file('b/sub/two'), file('c/x')],
      [
        file('b/new'),
        file('a/.wh.gone'),
        file('b/.wh..wh..opq'),
        file('b/sub/three'),
        file('.wh.c'),
        file('d/mine'),
        file('d/.wh.mine'),
        file('.wh..wh.plnk'),
      ],
    );
    expect(await namesIn(root)).toEqual(['a', 'b', 'd', ...own]);
    expect(await namesIn(join(root, 'a'))).toEqual(['keep']);
    expect(await namesIn(join(root, 'b'))).toEqual(['new', 'sub']);
    expect(await namesIn(join(root, 'b/sub'))).toEqual(['three']);
    expect(await namesIn(join(root, 'd'))).toEqual(['mine']);
  });

  it('keeps modes, links and types, and replaces one type by another', async () => {
    const root = await unpack(
      [
        { name: 'run', mode: 0o6755, content: 'x' },
        { name: 'closed', type: 'directory', mode: 0o500 },
        file('closed/file'),
        symlink('link', '/closed/file'),
        link('hard', 'closed/file'),
        file('was-file'),
        { name: 'was-directory/inner', content: 'x' },
        { name: 'pipe', type: 'fifo' },
        { name: 'device', type: 'character-device', devmajor: 1, devminor: 3 },
      ],
      [file('was-file/inner'), file('was-directory'), file('closed/second')].slice(1),
    );
    expect((await lstat(join(root, 'run'))).mode & 0o7777).toBe(0o755);
    expect((await lstat(join(root, 'closed'))).mode & 0o7777).toBe(0o700);
    expect(await namesIn(join(root, 'closed'))).toEqual(['file', 'second']);
    expect(await readlink(join(root, 'link'))).toBe('/closed/file');
    expect((await lstat(join(root, 'hard'))).ino).toBe(
      (await lstat(join(root, 'closed/file'))).ino,
    );
    expect((await lstat(join(root, 'was-directory'))).isFile()).toBe(true);
    expect(await namesIn(root)).not.toContain('device');
    expect(await namesIn(root)).not.toContain('pipe');
  });

  it.each([
    ['a path that climbs', [file('../escaped')]],
    ['a path that climbs later', [file('a/../../escaped')]],
    ['an absolute path', [file('/escaped')]],
    ['a hard link that climbs', [link('a', '../secret')]],
    ['an absolute hard link', [link('a', '/etc/passwd')]],
    ['a hard link to nothing', [link('a', 'nothing')]],
    ['a hard link through a symbolic link', [symlink('out', '../../..'), link('a', 'out/secret')]],
    ['a file used as a directory', [file('a'), file('a/b')]],
    ['symbolic links in a circle', [symlink('a', 'b'), symlink('b', 'a'), file('a/x')]],
  ])('refuses %s', async (_what, entries) => {
    await writeFile(join(folder, 'secret'), 'secret');
    await expect(unpack(entries)).rejects.toMatchObject({ code: 'integrity' });
    expect(await namesIn(folder)).toEqual(['roots', 'secret']);
    expect(await namesIn(join(folder, 'roots'))).toEqual([]);
  });

  it('follows links as the image itself would see them, never out of the root', async () => {
    const outside = join(folder, 'outside');
    await writeFile(outside, 'untouched');
    const root = await unpack(
      [symlink('lib', 'usr/lib'), symlink('out', `../../../../..${folder}`), symlink('top', '/')],
      [file('lib/a'), file('out/outside', 'changed'), file('top/b'), symlink('file', outside)],
      [file('file', 'replaced'), file('out/.wh.outside')],
    );
    expect(await readFile(outside, 'utf8')).toBe('untouched');
    expect(await readFile(join(root, 'usr/lib/a'), 'utf8')).toBe('lib/a');
    expect(await readFile(join(root, 'b'), 'utf8')).toBe('top/b');
    expect(await readFile(join(root, 'file'), 'utf8')).toBe('replaced');
    expect((await lstat(join(root, 'file'))).isFile()).toBe(true);
  });

  it('makes plain places of what the launcher mounts or writes', async () => {
    const root = await unpackImage({
      layers: [
        [
          symlink('proc', '/usr'),
          symlink('dev', folder),
          file('tmp'),
          symlink('etc/hosts', folder),
        ],
      ],
      config: { WorkingDir: '/a/../../b/c' },
    }).catch((error: unknown) => error);
    expect(root).toMatchObject({ code: 'integrity' });
    const good = await unpack([
      symlink('proc', '/usr'),
      symlink('dev', folder),
      file('tmp'),
      symlink('etc/hosts', folder),
    ]);
    for (const name of own) expect((await lstat(join(good, name))).isDirectory()).toBe(true);
    expect((await lstat(join(good, 'etc/hosts'))).isFile()).toBe(true);
  });

  it.each([
    [
      'bytes that were changed',
      (blob: Buffer) => Buffer.concat([blob.subarray(0, -1), Buffer.from('x')]),
    ],
    ['bytes that were added', (blob: Buffer) => Buffer.concat([blob, blob])],
    ['bytes that are missing', (blob: Buffer) => blob.subarray(0, blob.length - 20)],
    ['something else altogether', () => Buffer.from('not a layer')],
  ])('refuses %s', async (_what, corrupt) => {
    const layers = [[file('a', 'a'.repeat(100_000))]];
    await expect(unpackImage({ layers, corrupt })).rejects.toMatchObject({ code: 'integrity' });
    expect(await namesIn(join(folder, 'roots'))).toEqual([]);
  });

  it('reads plain tar and zstd too', async () => {
    const layers = [[file('a')]];
    const plain = { mediaType: mediaTypes.ociLayer, with: (tar: Buffer) => tar };
    expect(await namesIn(await unpackImage({ layers, compress: plain }))).toContain('a');
    const zstd = { mediaType: mediaTypes.ociLayerZstd, with: zstdCompressSync };
    expect(await namesIn(await unpackImage({ layers, compress: zstd }))).toContain('a');
    const other = { mediaType: 'application/x-strange', with: (tar: Buffer) => tar };
    await expect(unpackImage({ layers, compress: other })).rejects.toMatchObject({
      code: 'unsupported',
    });
  });

  it('unpacks an image once, however many ask, and deletes it when nobody keeps it', async () => {
    const digest = await images.add({ layers: [[file('a')]] });
    const image = await readImage(images, images.location, digest, hostPlatform(), call());
    images.requests = 0;
    const roots = await Promise.all(
      [1, 2, 3].map(() => store.ensure(image, images.location, call())),
    );
    expect(new Set(roots).size).toBe(1);
    expect(images.requests).toBe(1);
    await store.prune((each) => each === digest);
    expect(await namesIn(join(folder, 'roots'))).toHaveLength(1);
    await store.prune(() => false);
    expect(await namesIn(join(folder, 'roots'))).toEqual([]);
  });

  it("looks users up in the image's own files, and follows no link from there", async () => {
    const root = await unpack([
      file('etc/passwd', 'root:x:0:0::/:\nweb:x:33:34::/:\n'),
      file('etc/group', 'root:x:0:\nweb:x:34:\nextra:x:50:other,web\n'),
    ]);
    expect(await resolveUser(root, '')).toEqual({ uid: 0, gid: 0, groups: [] });
    expect(await resolveUser(root, 'web')).toEqual({ uid: 33, gid: 34, groups: [50] });
    expect(await resolveUser(root, 'web:extra')).toEqual({ uid: 33, gid: 50, groups: [] });
    expect(await resolveUser(root, '65532:65532')).toEqual({ uid: 65532, gid: 65532, groups: [] });
    expect(await resolveUser(root, '77')).toEqual({ uid: 77, gid: 0, groups: [] });
    for (const bad of ['nobody', 'web:nobody', '70000', '-1']) {
      await expect(resolveUser(root, bad)).rejects.toMatchObject({ code: 'invalid_input' });
    }
    await writeFile(join(folder, 'passwd'), 'sneaky:x:1:1::/:\n');
    const linked = await unpack([symlink('etc/passwd', join(folder, 'passwd'))]);
    await expect(resolveUser(linked, 'sneaky')).rejects.toMatchObject({ code: 'invalid_input' });
  });
});
