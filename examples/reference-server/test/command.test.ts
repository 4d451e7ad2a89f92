import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../packages/core/test/fixtures/call.ts';
import { type Access, openAccess } from '../src/access.ts';
import { variableSchemas } from '../src/configuration.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cygni-command-'));
});
afterEach(() => rm(directory, { recursive: true }));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(words: readonly string[], variables: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const env = { PATH: process.env.PATH, CYGNI_DATA_DIR: directory, ...variables };
  const all = ['--conditions=cygni-source', main, ...words];
  try {
    const output = await promisify(execFile)(process.execPath, all, { env });
    return { code: 0, ...output };
  } catch (error) {
    return error as Ended;
  }
}

describe('cygni-server token create', () => {
  const good = [
    'token',
    'create',
    '--tenant',
    'acme',
    '--scope',
    'builds:read',
    '--expires',
    '24h',
  ];
  let access: Access;
  beforeEach(async () => {
    access = await openAccess(directory, [], silentLog);
  });

  it('prints a token that a server on the data directory lets in', async () => {
    const words = [...good, '--scope', 'builds:write', '--subject', 'ci'];
    const { stdout, stderr, code } = await run(words);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const principal = await access.authenticator.verify(stdout.trim());
    expect(principal).toMatchObject({ tenantId: 'acme', subject: 'ci', repository: null });
    expect([...principal.scopes].sort()).toEqual(['builds:read', 'builds:write']);
    const lifetime = principal.expiresAt - Date.now() / 1000;
    expect(lifetime).toBeGreaterThan(86_000);
    expect(lifetime).toBeLessThanOrEqual(86_400);
  });

  it.each<[string, readonly string[], RegExp]>([
    ['no tenant', ['--tenant', ''], /--tenant/],
    ['a tenant that is a path', ['--tenant', '../x'], /--tenant/],
    ['a scope that there is not', ['--scope', 'everything'], /--scope: builds:read, /],
    ['a time without a unit', ['--expires', '24'], /--expires: .*24h/],
    ['a time that is too long', ['--expires', '91d'], /--expires: 90d/],
    ['an option that there is not', ['--tenants', 'x'], /--tenants/],
  ])('refuses %s by name', async (_what, words, problem) => {
    const { code, stdout, stderr } = await run([...good, ...words]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(problem);
  });

  it('makes no key where no server has been', async () => {
    const empty = join(directory, 'empty');
    const { code, stderr } = await run(good, { CYGNI_DATA_DIR: empty });
    expect(code).toBe(2);
    expect(stderr).toContain('CYGNI_DATA_DIR');
    expect(await readdir(directory)).not.toContain('empty');
  });
});

describe('cygni-server config --explain', () => {
  it('tells of every variable, and nothing of what it is set to', async () => {
    const { code, stdout } = await run(['config', '--explain'], {
      DATABASE_URL: 'postgres://u:hunter2@db/x',
      REGISTRY_PASSWORD: 'hunter2',
      CYGNI_DATA_DIR: '/hunter2',
    });
    expect(code).toBe(0);
    for (const name of Object.keys(variableSchemas)) {
      expect(stdout).toMatch(new RegExp(`^${name}( \\(.*\\))?$`, 'm'));
    }
    expect(stdout).toContain('PORT (default 8080)');
    expect(stdout).toContain('DATABASE_URL (secret)');
    expect(stdout).not.toContain('hunter2');
  });
});

describe('cygni-server', () => {
  it('tells how it is used when it does not understand', async () => {
    for (const words of [['tokens'], ['token'], ['config'], ['--what']]) {
      const { code, stderr } = await run(words);
      expect(code).toBe(2);
      expect(stderr).toContain('cygni-server token create');
    }
  });
});
