import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDockerCredentials, createOciRegistry } from '../src/index.ts';
import { callWith } from './support/call.ts';
import { embedded } from './support/embedded.ts';
import { type TemporaryDirectory, temporaryDirectory } from './support/temporary-directory.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');
let directory: TemporaryDirectory;
const pathBefore = process.env.PATH;

beforeEach(async () => {
  directory = await temporaryDirectory();
});
afterEach(async () => {
  process.env.PATH = pathBefore;
  await directory[Symbol.asyncDispose]();
});

async function configured(content: unknown): Promise<{ readonly file: string }> {
  const file = path.join(directory.path, 'config.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return { file };
}

/** A real program in PATH, as docker's own helpers are. */
async function helper(name: string, script: string): Promise<void> {
  const file = path.join(directory.path, `docker-credential-${name}`);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
  process.env.PATH = `${directory.path}:${pathBefore}`;
}

describe('credentials that docker login left', () => {
  it.each([
    ['ghcr.io', 'ghcr.io'],
    ['ghcr.io', 'https://ghcr.io'],
    ['docker.io', 'https://index.docker.io/v1/'],
    ['registry-1.docker.io', 'https://index.docker.io/v1/'],
  ])('of %s are found under %s', async (host, key) => {
    const options = await configured({ auths: { [key]: { auth: base64('me:a:b') } } });
    expect(await createDockerCredentials(host, options)()).toEqual({
      username: 'me',
      password: 'a:b',
      expiresAt: null,
      reach: 'account',
    });
  });

  it('of one host are not those of another, and without any the caller is anonymous', async () => {
    const options = await configured({ auths: { 'ghcr.io': { auth: base64('me:secret') } } });
    for (const host of ['ghcr.io.example', 'example', '__proto__', 'constructor']) {
      expect(await createDockerCredentials(host, options)()).toMatchObject({ username: '' });
    }
    const nowhere = { file: path.join(directory.path, 'missing.json') };
    expect(await createDockerCredentials('ghcr.io', nowhere)()).toMatchObject({ password: '' });
  });

  it('come from the helper that is named for the host, else from the store', async () => {
    await helper(
      'one',
      'read server; echo "{\\"Username\\":\\"one\\",\\"Secret\\":\\"$server\\"}"',
    );
    await helper(
      'two',
      'read server; echo "{\\"Username\\":\\"two\\",\\"Secret\\":\\"$server\\"}"',
    );
    const options = await configured({ credHelpers: { 'ghcr.io': 'one' }, credsStore: 'two' });
    expect(await createDockerCredentials('ghcr.io', options)()).toMatchObject({
      username: 'one',
      password: 'ghcr.io',
    });
    expect(await createDockerCredentials('docker.io', options)()).toMatchObject({
      username: 'two',
      password: 'https://index.docker.io/v1/',
    });
  });

  it('are those of the file where the helper has none', async () => {
    await helper('empty', 'echo "credentials not found in native keychain"; exit 1');
    const auths = { 'ghcr.io': { auth: base64('me:secret') } };
    const options = await configured({ auths, credsStore: 'empty' });
    expect(await createDockerCredentials('ghcr.io', options)()).toMatchObject({ username: 'me' });
  });

  it.each([
    ['fails', 'exit 3', 'unavailable'],
    ['says nothing', 'exit 0', 'unavailable'],
    ['answers with half of them', `echo '{"Username":"me"}'`, 'unavailable'],
  ])('are refused from a helper that %s', async (_, script, code) => {
    await helper('odd', script);
    const options = await configured({ credsStore: 'odd' });
    await expect(createDockerCredentials('ghcr.io', options)()).rejects.toMatchObject({ code });
  });

  it.each([
    ['is no JSON', '{"auths": s3cret'],
    ['names a program elsewhere', { credsStore: '../../bin/sh' }],
    ['has no user', { auths: { 'ghcr.io': { auth: base64('s3cret') } } }],
  ])('are refused from a file that %s, without a word of what it holds', async (_, content) => {
    const failure: unknown = await createDockerCredentials(
      'ghcr.io',
      await configured(content),
    )().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(String(failure)).not.toContain('s3cret');
  });

  it('are an identity token where there is one, from the file or a helper', async () => {
    const token = { username: '<token>', password: 'x', reach: 'account' };
    const auths = { 'ghcr.io': { auth: base64('me:'), identitytoken: 'x' } };
    const inFile = await configured({ auths });
    expect(await createDockerCredentials('ghcr.io', inFile)()).toMatchObject(token);
    await helper('token', `echo '{"Username":"<token>","Secret":"x"}'`);
    const fromHelper = await configured({ credsStore: 'token' });
    expect(await createDockerCredentials('ghcr.io', fromHelper)()).toMatchObject(token);
  });

  it('open a registry', async () => {
    const right = `Basic ${base64('me:secret')}`;
    await using served = await embedded({
      authorize: async ({ authorization }) =>
        authorization === right ? 'allow' : 'unauthenticated',
    });
    const options = await configured({ auths: { [served.host]: { auth: base64('me:secret') } } });
    const credentials = createDockerCredentials(served.host, options);
    await using registry = createOciRegistry({ host: served.host, insecure: true, credentials });
    expect(await registry.listTags('acme/site', { limit: 1 }, callWith())).toEqual([]);
  });
});
