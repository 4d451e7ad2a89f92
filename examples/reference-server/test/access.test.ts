import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../packages/core/test/fixtures/call.ts';
import { type Access, openAccess } from '../src/access.ts';

let directory: string;
let access: Access;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cygni-access-'));
  access = await openAccess(directory, [], silentLog);
});
afterEach(() => rm(directory, { recursive: true }));

describe('the platform’s tokens at the embedded registry', () => {
  it('open one repository for what they were issued for, and nothing else', async () => {
    const { username, password, reach } = await access.imageCredentials('acme/site', ['pull']);
    expect(reach).toBe('repository');
    const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    for (const authorization of [basic, `Bearer ${password}`]) {
      const ask = (repository: string | null, action: 'pull' | 'push' | 'delete') =>
        access.authorizeImage({ authorization, repository, action });
      expect(await ask(null, 'pull')).toBe('allow');
      expect(await ask('acme/site', 'pull')).toBe('allow');
      expect(await ask('acme/site', 'push')).toBe('forbidden');
      expect(await ask('acme/site', 'delete')).toBe('forbidden');
      for (const other of ['acme/other', 'acme/site/more', 'acme/sit', 'other/site']) {
        expect(await ask(other, 'pull')).toBe('forbidden');
      }
    }
  });

  it('are no good when they are made up, altered, or another server’s', async () => {
    const { password } = await access.imageCredentials('acme/site', ['pull', 'push']);
    const elsewhere = await mkdtemp(join(tmpdir(), 'cygni-access-'));
    try {
      const other = await openAccess(elsewhere, [], silentLog);
      const foreign = await other.imageCredentials('acme/site', ['pull', 'push']);
      const [head = '', , tail = ''] = password.split('.');
      const claims = Buffer.from('{"repository":"acme/other"}').toString('base64url');
      const bad = [
        undefined,
        '',
        'Bearer',
        'Basic ????',
        'Bearer x',
        `Bearer ${foreign.password}`,
        `Bearer ${head}.${claims}.${tail}`,
        `Negotiate ${password}`,
      ];
      for (const authorization of bad) {
        const request = { authorization, repository: 'acme/site', action: 'pull' as const };
        expect(await access.authorizeImage(request)).toBe('unauthenticated');
      }
    } finally {
      await rm(elsewhere, { recursive: true });
    }
  });
});
