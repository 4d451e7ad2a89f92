import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { createDockerCredentials, createImageClient, createRegistryServer } from '../src/index.ts';
import { callWith } from './support/call.ts';
import { imageSaying } from './support/image.ts';
import { listen } from './support/listen.ts';
import { pushImage } from './support/push.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const call = callWith();
const retry = { retries: 0 };
const image = imageSaying('for who has an identity token');

/**
 * The embedded registry behind a token server that knows one identity token. It takes what the OAuth2
 * specification of the distribution project says and nothing else, and the registry takes only access
 * tokens that it issued, each for what it was issued for.
 */
async function tokenRegistry(identityToken: string) {
  const directory = await temporaryDirectory();
  const issued = new Map<string, string>();
  const grants: string[] = [];
  const authorizations: string[] = [];
  let open = true;
  const registry = createRegistryServer({
    directory: directory.path,
    authorize: async ({ authorization = '', repository, action }) => {
      if (open) return 'allow';
      const scope = issued.get(authorization.replace(/^Bearer /, ''));
      if (scope === undefined || repository === null) return 'unauthenticated';
      const [, name, actions = ''] = /^repository:(.+):([a-z,]+)$/.exec(scope) ?? [];
      return name === repository && actions.split(',').includes(action) ? 'allow' : 'forbidden';
    },
  });
  await registry.open();
  const listening = await listen((request, response) => {
    if (request.headers.authorization) authorizations.push(request.headers.authorization);
    if (!request.url?.startsWith('/token')) {
      const known = issued.has(request.headers.authorization?.replace(/^Bearer /, '') ?? '');
      if (open || known) return registry.handle(request, response);
      const realm = `realm="http://${listening.host}/token",service="registry.test"`;
      return void response.writeHead(401, { 'www-authenticate': `Bearer ${realm}` }).end();
    }
    void (async () => {
      const form = new URLSearchParams(await text(request));
      const asked = Object.fromEntries(form);
      const right =
        request.method === 'POST' &&
        request.headers['content-type'] === 'application/x-www-form-urlencoded' &&
        asked.grant_type === 'refresh_token' &&
        asked.service === 'registry.test' &&
        asked.refresh_token === identityToken &&
        asked.client_id;
      grants.push(`${asked.grant_type} ${asked.scope}`);
      if (!right) return response.writeHead(401).end();
      const token = randomUUID();
      issued.set(token, asked.scope ?? '');
      const body = { access_token: token, expires_in: 300, scope: asked.scope };
      return response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify(body));
    })();
  });
  const url = (each: string) => `http://${listening.host}/v2/${each}`;
  await pushImage({ url }, 'acme/site', 'one', image);
  open = false;
  return {
    host: listening.host,
    directory: directory.path,
    grants,
    authorizations,
    async [Symbol.asyncDispose]() {
      await registry.close();
      await listening[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

type TokenRegistry = Awaited<ReturnType<typeof tokenRegistry>>;

/** As `docker login` leaves it: the user in `auth`, without a password. */
async function loggedIn({ host, directory }: TokenRegistry, identitytoken: string) {
  const file = path.join(directory, 'config.json');
  const auth = Buffer.from('me:').toString('base64');
  await writeFile(file, JSON.stringify({ auths: { [host]: { auth, identitytoken } } }));
  const credentials = await createDockerCredentials(host, { file })();
  return { host, repository: 'acme/site', insecure: true, credentials };
}

describe('an identity token that docker login left', () => {
  it('is exchanged for access tokens of the scope that is needed, and kept from everyone else', async () => {
    await using registry = await tokenRegistry('identity');
    await using client = createImageClient({ retry });
    const location = await loggedIn(registry, 'identity');
    const manifest = await client.getManifest(location, 'one', call);
    expect(manifest.digest).toBe(image.digest);
    await client.getManifest(location, image.digest, call);
    expect(await client.putManifest(location, 'two', manifest, call)).toBe(image.digest);
    expect(registry.grants).toEqual([
      'refresh_token repository:acme/site:pull',
      'refresh_token repository:acme/site:pull,push',
    ]);
    expect(registry.authorizations.every((each) => each.startsWith('Bearer '))).toBe(true);
    expect(registry.authorizations.join()).not.toContain('identity');
  });

  it('that was revoked is refused, and not shown', async () => {
    await using registry = await tokenRegistry('identity');
    await using client = createImageClient({ retry });
    const location = await loggedIn(registry, 'revoked');
    const failed = await client.getManifest(location, 'one', call).catch((error) => error);
    expect(failed).toMatchObject({ code: 'forbidden', retryable: false });
    expect(`${failed} ${failed.cause}`).not.toContain('revoked');
  });

  it('of one caller never serves another', async () => {
    await using registry = await tokenRegistry('identity');
    await using client = createImageClient({ retry });
    const location = await loggedIn(registry, 'identity');
    await client.getManifest(location, 'one', call);
    const { credentials, ...anonymous } = location;
    const others = [
      anonymous,
      { ...anonymous, credentials: { ...credentials, password: 'other' } },
    ];
    for (const other of others) {
      const failed = client.getManifest(other, 'one', call);
      await expect(failed).rejects.toMatchObject({ code: 'forbidden' });
    }
  });
});
