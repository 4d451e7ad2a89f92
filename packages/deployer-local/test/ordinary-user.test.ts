import { chmodSync } from 'node:fs';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { text } from './fixtures/harness.ts';
import { processesWith } from './fixtures/processes.ts';
import { startServer } from './fixtures/server-process.ts';
import { available, compileBehave, runs } from './fixtures/tool.ts';

/** Somebody without any right: `nobody` on every distribution. */
const nobody = { uid: 65_534, gid: 65_534 };
const asRoot = process.getuid?.() === 0;
const command = ['unshare', '--user', '--map-root-user', '--mount', '--pid', '--fork', 'true'];

const behave = compileBehave();
if (behave) chmodSync(dirname(behave.path), 0o755);
const ready =
  available('gcc with a static C library', behave !== null) &&
  available(
    'user namespaces for ordinary users',
    asRoot
      ? runs('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', ...command])
      : runs('unshare', command.slice(1)),
  );

describe.skipIf(!ready)('the local deployer of an ordinary user', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cygni-ordinary-'));
    if (asRoot) await chown(directory, nobody.uid, nobody.gid);
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));
  afterAll(() => behave?.remove());

  it.each([
    ['', 'uid=0 gid=0'],
    ['1000:100', 'uid=1000 gid=100'],
    ['0:100', 'uid=0 gid=100'],
  ])('gives its one id to the image user %j', async (user, identity) => {
    const binary = behave?.path ?? '';
    const server = await startServer({ directory, binary, user }, asRoot ? nobody : undefined);
    expect(await text(`${server.url}/identity`)).toMatch(new RegExp(`^${identity} .*cwd=/srv$`));
    expect(await text(`${server.url}/write/note`)).toBe('written');
    expect(await text(`${server.url}/read/closed/file`)).toBe('x');
    expect(await text(`${server.url}/read/closed/later`)).toMatch(/denied/);
    const status = await text(`${server.url}/read/proc/self/status`);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      expect(status).toMatch(new RegExp(`^${set}:\\s0+$`, 'm'));
    }
    await server.close();
    expect(processesWith(directory)).toEqual([]);
    expect(await readdir(join(directory, 'instances'))).toEqual([]);
  });
});
