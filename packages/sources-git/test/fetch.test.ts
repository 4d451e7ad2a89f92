import { randomBytes } from 'node:crypto';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Call, GitLocation } from '@cygni/core';
import { createGitFetcher, type GitFetcherOptions } from '@cygni/sources-git';
import { extract } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testCall } from '../../core/test/fixtures/call.ts';
import { type GitServer, startGitServer } from './support/git-server.ts';

const toLoopback = async () => [{ address: '127.0.0.1' }];

async function bytesOf(archive: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(archive));
}

/** Names with contents; of a link, what it points to. */
async function filesOf(archive: Uint8Array): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const entry of Readable.from([archive]).pipe(createGunzip()).pipe(extract())) {
    const { name, type, linkname } = entry.header;
    const content = Buffer.concat(await Array.fromAsync(entry as AsyncIterable<Uint8Array>));
    files[name] = type === 'symlink' ? `-> ${linkname}` : content.toString();
  }
  return files;
}

describe('a git source', () => {
  let server: GitServer;
  let directory: string;
  beforeEach(async () => {
    server = await startGitServer();
    directory = server.directory;
  });
  afterEach(() => server[Symbol.asyncDispose]());

  const fetcherOf = (options: Partial<GitFetcherOptions> = {}) =>
    createGitFetcher({
      ...{ directory, caFile: server.caFile, allowedHosts: ['git.internal'], lookup: toLoopback },
      ...options,
    });

  async function read(
    location: GitLocation,
    options: Partial<GitFetcherOptions> = {},
    call: Call = testCall(),
  ) {
    await using source = await fetcherOf(options).fetchGit(location, call);
    return { commit: source.commit, archive: await bytesOf(source.archive) };
  }

  const refusal = (pointer: string, message = /./) => ({
    code: 'invalid_input',
    message: expect.stringMatching(message),
    issues: [expect.objectContaining({ pointer })],
  });
  const leftovers = async () =>
    (await readdir(directory)).filter((name) => name.startsWith('git-'));

  it('is the files of the default branch, and the commit that it was', async () => {
    const files = { Dockerfile: 'FROM scratch\n', 'site/index.html': '<p>hello</p>\n' };
    const commit = await server.commit('site', files);
    const { archive, ...found } = await read({ url: server.url('site'), ref: null });
    expect(found.commit).toBe(commit);
    expect(await filesOf(archive)).toMatchObject(files);
    expect(await leftovers()).toEqual([]);
  });

  it('is the same bytes each time', async () => {
    await server.commit('site', { Dockerfile: 'FROM scratch\n' });
    const location = { url: server.url('site'), ref: 'main' };
    expect((await read(location)).archive).toEqual((await read(location)).archive);
  });

  it('is a branch, a tag or a commit, as it is asked for', async () => {
    const first = await server.commit('site', { file: 'first' });
    await server.git('site', 'tag', '--annotate', '--message=v1', 'v1.0');
    const second = await server.commit('site', { file: 'second' });
    await server.git('site', 'branch', 'feature/x');
    const third = await server.commit('site', { file: 'third' });
    const url = server.url('site');
    const commitOf = async (ref: string) => (await read({ url, ref })).commit;
    expect(await commitOf('v1.0')).toBe(first);
    expect(await commitOf('refs/tags/v1.0')).toBe(first);
    expect(await commitOf('feature/x')).toBe(second);
    expect(await commitOf('main')).toBe(third);
    expect(await commitOf(second)).toBe(second);
    await expect(read({ url, ref: 'nowhere' })).rejects.toMatchObject(refusal('/git/ref'));
    await expect(read({ url, ref: 'a'.repeat(40) })).rejects.toMatchObject(refusal('/git/ref'));
  });

  it('brings links as links, no submodules, and runs nothing', async () => {
    const inner = await server.commit('inner', { secret: 'x' });
    await server.commit('site', {
      '.gitmodules': `[submodule "sub"]\n\tpath = sub\n\turl = ${server.url('inner')}\n`,
      '.gitattributes': '*.txt filter=evil diff=evil export-subst\n',
      'file.txt': 'plain $Format:%H$\n',
    });
    await symlink('/etc/passwd', join(directory, 'site', 'link'));
    await server.git('site', 'add', '--all');
    await server.git('site', 'update-index', '--add', '--cacheinfo', `160000,${inner},sub`);
    await server.git('site', 'commit', '--quiet', '--message=with a link and a submodule');
    const asked = server.requests.length;
    const { archive } = await read({ url: server.url('site'), ref: null });
    const files = await filesOf(archive);
    expect(files).toMatchObject({ link: '-> /etc/passwd' });
    expect(Object.keys(files).filter((name) => name.startsWith('sub/') && name !== 'sub/')).toEqual(
      [],
    );
    expect(server.requests.slice(asked).every((path) => path.startsWith('/site/'))).toBe(true);
  });

  it.each([
    ['file:///etc', '/git/url'],
    ['ext::sh -c touch% /tmp/x', '/git/url'],
    ['ssh://git@git.internal/site', '/git/url'],
    ['git@git.internal:site', '/git/url'],
    ['git://git.internal/site', '/git/url'],
    ['http://git.internal/site', '/git/url'],
    ['/etc', '/git/url'],
    ['--upload-pack=touch /tmp/x', '/git/url'],
    ['https://user:canary@git.internal/site', '/git/url'],
    ['https://git.internal/site?token=canary', '/git/url'],
    ['https://169.254.169.254/site', '/git/url'],
    ['https://2130706433/site', '/git/url'],
    ['https://metadata.google.internal/site', '/git/url'],
  ])('from %s is refused before git is asked', async (url, pointer) => {
    await expect(read({ url, ref: null }, { program: '/nonexistent' })).rejects.toMatchObject({
      ...refusal(pointer),
      message: expect.not.stringContaining('canary'),
    });
  });

  it.each([
    ...['--upload-pack=touch /tmp/x', '-main', '+main', '^main', 'main:refs/heads/x', 'a..b'],
    ...['main@{1}', 'x y', '*', 'main\n', 'a//b', 'x.lock', '', '/main', 'main/'],
  ])('at the ref %j is refused before git is asked', async (ref) => {
    const location = { url: 'https://git.internal/site', ref };
    await expect(read(location, { program: '/nonexistent' })).rejects.toMatchObject(
      refusal('/git/ref'),
    );
  });

  it.each(['127.0.0.1', '169.254.169.254', '::ffff:169.254.169.254', 'fd00:ec2::254', '10.0.0.1'])(
    'whose host means %s is not connected to',
    async (address) => {
      await server.commit('site', { file: 'x' });
      const url = `https://git.test:${server.port}/site/.git`;
      const lookup = async () => [{ address }];
      await expect(read({ url, ref: null }, { lookup })).rejects.toMatchObject({
        code: 'forbidden',
      });
      expect(server.requests).toEqual([]);
    },
  );

  it('comes from the address that was looked at, whatever the name means elsewhere', async () => {
    // Nothing but the fetcher's own lookup knows this name: git has no other way to the server.
    const commit = await server.commit('site', { file: 'x' });
    const answers = ['127.0.0.1', '169.254.169.254'];
    const lookup = async () => [{ address: answers.shift() ?? '' }];
    const found = await read({ url: server.url('site'), ref: null }, { lookup });
    expect(found.commit).toBe(commit);
    expect(answers).toEqual(['169.254.169.254']);
  });

  it('is not there where there is no repository, or none that is public', async () => {
    await expect(read({ url: server.url('none'), ref: null })).rejects.toMatchObject(
      refusal('/git/url', /no repository/),
    );
    for (const status of [401, 403]) {
      await using locked = await startGitServer((_, response) => {
        response.writeHead(status, { 'www-authenticate': 'Basic realm="x"' }).end();
        return true;
      });
      const sent = read({ url: locked.url('site'), ref: null }, { caFile: locked.caFile });
      await expect(sent).rejects.toMatchObject(refusal('/git/url', /not public/));
    }
  });

  it('is not what a dumb server has, nor what is no git server at all', async () => {
    await using dumb = await startGitServer((_, response) => {
      response.end(`${'a'.repeat(40)}\trefs/heads/main\n`);
      return true;
    });
    const sent = read({ url: dumb.url('site'), ref: null }, { caFile: dumb.caFile });
    await expect(sent).rejects.toMatchObject({ code: expect.stringMatching(/invalid_input/) });
    expect(dumb.requests.filter((path) => path.includes('alternates'))).toEqual([]);
  });

  it.each(['https://169.254.169.254/', 'file:///etc/', 'http://127.0.0.1/'])(
    'is not followed to %s',
    async (elsewhere) => {
      await using redirecting = await startGitServer((request, response) => {
        response.writeHead(302, { location: `${elsewhere}${request.url}` }).end();
        return true;
      });
      const sent = read(
        { url: redirecting.url('site'), ref: null },
        { caFile: redirecting.caFile },
      );
      await expect(sent).rejects.toMatchObject(refusal('/git/url', /redirected/));
      expect(redirecting.requests).toHaveLength(1);
    },
  );

  it('is not taken from a server whose certificate is not trusted', async () => {
    await server.commit('site', { file: 'x' });
    await using other = await startGitServer();
    const sent = read({ url: server.url('site'), ref: null }, { caFile: other.caFile });
    await expect(sent).rejects.toMatchObject({
      ...{ code: 'unavailable', message: expect.stringContaining('certificate') },
    });
  });

  it('that is too large to receive is not received', async () => {
    await server.commit('site', { 'noise.bin': randomBytes(500_000).toString('base64') });
    const sent = read({ url: server.url('site'), ref: null }, { maximumPackBytes: 100_000 });
    await expect(sent).rejects.toMatchObject({ code: 'too_large' });
    expect(await leftovers()).toEqual([]);
  });

  it('whose files grow too large is given up while it is read', async () => {
    await server.commit('site', { 'zeros.bin': '\0'.repeat(20_000_000) });
    const options = { maximumPackBytes: 100_000, maximumFilesBytes: 10_000_000 };
    const sent = read({ url: server.url('site'), ref: null }, options);
    await expect(sent).rejects.toMatchObject({ code: 'too_large' });
    expect(await leftovers()).toEqual([]);
  });

  it('with a hostile tree is refused', async () => {
    await server.commit('site', { file: 'x' });
    const blob = await server.git('site', 'rev-parse', 'HEAD:file');
    const entry = Buffer.concat([Buffer.from('100644 ..\0'), Buffer.from(blob, 'hex')]);
    await writeFile(join(directory, 'tree'), entry);
    const hash = ['hash-object', '-t', 'tree', '-w', '--literally', join(directory, 'tree')];
    const tree = await server.git('site', ...hash);
    const commit = await server.git('site', 'commit-tree', tree, '-m', 'hostile');
    await server.git('site', 'update-ref', 'refs/heads/main', commit);
    await expect(read({ url: server.url('site'), ref: 'main' })).rejects.toMatchObject(
      refusal('/git/url', /malformed or hostile/),
    );
  });

  it('is given up in time, with every process that was started', async () => {
    await using hanging = await startGitServer(() => true);
    const location = { url: hanging.url('site'), ref: null };
    const options = { caFile: hanging.caFile };
    await expect(read(location, { ...options, timeoutMs: 500 })).rejects.toMatchObject({
      code: 'timeout',
    });
    const leave = new AbortController();
    const sent = read(location, options, testCall(leave.signal));
    const rejected = expect(sent).rejects.toMatchObject({ code: 'aborted' });
    while (hanging.requests.length < 2) await new Promise((resolve) => setImmediate(resolve));
    leave.abort();
    await rejected;
    expect(await leftovers()).toEqual([]);
  });

  it('is let go of when it is not read to its end', async () => {
    await server.commit('site', { 'noise.bin': randomBytes(3_000_000).toString('base64') });
    const source = await fetcherOf().fetchGit({ url: server.url('site'), ref: null }, testCall());
    const iterator = source.archive[Symbol.asyncIterator]();
    await iterator.next();
    await source[Symbol.asyncDispose]();
    expect(await leftovers()).toEqual([]);
    const unread = await fetcherOf().fetchGit({ url: server.url('site'), ref: null }, testCall());
    await unread[Symbol.asyncDispose]();
    await unread[Symbol.asyncDispose]();
    expect(await leftovers()).toEqual([]);
  });

  it('waits for no other: one too many is refused for the moment', async () => {
    await server.commit('site', { file: 'x' });
    const fetcher = fetcherOf({ concurrency: 1 });
    const location = { url: server.url('site'), ref: null };
    const first = await fetcher.fetchGit(location, testCall());
    await expect(fetcher.fetchGit(location, testCall())).rejects.toMatchObject({
      ...{ code: 'unavailable', retryable: true },
    });
    await first[Symbol.asyncDispose]();
    await (await fetcher.fetchGit(location, testCall()))[Symbol.asyncDispose]();
  });

  it('is unsupported by name where git is not installed, or is too old', async () => {
    const location = { url: server.url('site'), ref: null };
    await expect(read(location, { program: 'no-such-git' })).rejects.toMatchObject({
      ...{ code: 'unsupported', message: expect.stringContaining('git is not installed') },
    });
    const old = join(directory, 'old-git');
    await writeFile(old, '#!/bin/sh\necho git version 2.30.1\n', { mode: 0o755 });
    await expect(read(location, { program: old })).rejects.toMatchObject({
      ...{ code: 'unsupported', message: expect.stringContaining('older than 2.37') },
    });
  });

  it('finds its directory made, and empty of what a killed process has left', async () => {
    const own = join(directory, 'work');
    await mkdir(join(own, 'git-left', 'objects'), { recursive: true });
    await mkdir(join(own, 'other'));
    const fetcher = fetcherOf({ directory: own });
    await fetcher.open(testCall());
    expect(await readdir(own)).toEqual(['other']);
    await fetcherOf({ directory: join(directory, 'new') }).open(testCall());
    expect(await readdir(join(directory, 'new'))).toEqual([]);
  });

  it('ends with its fetcher', async () => {
    const fetcher = fetcherOf();
    await fetcher.close();
    const sent = fetcher.fetchGit({ url: server.url('site'), ref: null }, testCall());
    await expect(sent).rejects.toMatchObject({ code: 'closed' });
  });
});
