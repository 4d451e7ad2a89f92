import { describe, expect, it } from 'vitest';
import type { ProxyConfigurationInput } from '../src/index.ts';
import { guardedRegistry } from './support/guarded-registry.ts';
import { image, sha256 } from './support/image.ts';
import { configurationFor, runProxy } from './support/proxy.ts';

const base = '/v2/target/acme/site';
const digest = sha256(Buffer.from('x'));

describe('what the proxy lets through', () => {
  it.each([
    ['GET', '/v2/target/rival/secret/manifests/one', 403],
    ['GET', '/v2/target/acme/site-two/manifests/one', 403],
    ['GET', '/v2/other/acme/site/manifests/one', 403],
    ['PUT', '/v2/target/base/busybox/manifests/one', 403],
    ['POST', '/v2/target/base/busybox/blobs/uploads/', 403],
    ['PUT', `${base}/manifests/latest`, 403],
    ['DELETE', `${base}/manifests/one`, 405],
    ['DELETE', `${base}/blobs/${digest}`, 405],
    ['GET', `${base}/tags/list`, 404],
    ['GET', '/v2/_catalog', 404],
    ['GET', '/v2/target/acme%2Fsite/manifests/one', 404],
    ['GET', `${base}/manifests/one%00`, 404],
    ['GET', `${base}/manifests/..`, 404],
    ['GET', `/v2/target//acme/site/manifests/one`, 404],
    ['GET', `${base}/blobs/uploads/00000000000000000000000000000000`, 404],
    ['GET', '/', 404],
    ['POST', '/v2/', 405],
  ])('answers %s %s with %i, and asks no upstream', async (method, target, status) => {
    await using registry = await guardedRegistry();
    await using proxy = await runProxy(configurationFor(registry, registry.issue()));
    const answer = await proxy.fetch(target, { method });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ errors: [{ code: expect.any(String) }] });
    expect(registry.seen).toEqual([]);
  });

  it('mounts from repositories that may be pulled, and begins an upload instead of any other mount', async () => {
    await using registry = await guardedRegistry();
    await using proxy = await runProxy(configurationFor(registry, registry.issue()));
    const begin = (query: string) =>
      proxy.fetch(`${base}/blobs/uploads/?mount=${digest}${query}`, { method: 'POST' });
    for (const query of ['', '&from=target/rival/secret', '&from=rival/secret', '&from=../x']) {
      expect((await begin(query)).status).toBe(202);
    }
    expect(registry.seen.map((each) => each.path)).toEqual(
      Array(4).fill('/v2/acme/site/blobs/uploads/'),
    );
    expect((await begin('&from=target/cache/acme')).status).toBe(202);
    const query = new URLSearchParams({ mount: digest, from: 'cache/acme' });
    expect(registry.seen.at(-1)?.path).toBe(`/v2/acme/site/blobs/uploads/?${query}`);
  });

  it('keeps the address of an upload to itself, and to its repository', async () => {
    await using registry = await guardedRegistry();
    await using proxy = await runProxy(configurationFor(registry, registry.issue()));
    const begun = await proxy.fetch(`${base}/blobs/uploads/`, { method: 'POST' });
    const location = begun.headers.get('location') ?? '';
    expect(location).toMatch(/^\/v2\/target\/acme\/site\/blobs\/uploads\/[0-9a-f]{32}$/);
    const stolen = location.replace('acme/site', 'cache/acme');
    expect((await proxy.fetch(stolen)).status).toBe(404);
    expect((await proxy.fetch(location)).status).toBe(204);
  });
});

describe('what the proxy shows', () => {
  it('is neither the credentials nor a cookie, even where the upstream repeats them', async () => {
    await using registry = await guardedRegistry({ kind: 'basic' });
    const password = registry.issue();
    await using proxy = await runProxy(configurationFor(registry, password));
    const found = await proxy.fetch(`${base}/manifests/one`, {
      headers: { authorization: 'Basic bWluZTptaW5l', cookie: 'a=b' },
    });
    expect(found.status).toBe(404);
    expect(found.headers.get('set-cookie')).toBeNull();
    registry.expireAll();
    await proxy.write(configurationFor(registry, 'canary-wrong'));
    const refused = await proxy.fetch(`${base}/manifests/one`);
    expect(refused.status).toBe(401);
    const text = `${await refused.text()} ${JSON.stringify([...refused.headers])} ${proxy.lines}`;
    expect(text).not.toMatch(/canary|QVdTOm/);
    expect(proxy.events().at(-1)).toEqual({
      event: 'error',
      reason: 'credentials_refused',
      message: 'target does not accept the credentials',
      upstream: 'target',
      repository: 'acme/site',
    });
  });

  it('is that credentials ran out, when nobody renews them in time; once the wait is over it is short', async () => {
    await using registry = await guardedRegistry();
    const password = registry.issue();
    await using proxy = await runProxy(
      configurationFor(registry, password, { renewalWaitSeconds: 1 }),
    );
    expect((await proxy.fetch(`${base}/manifests/one`)).status).toBe(404);
    registry.expireAll();
    expect((await proxy.fetch(`${base}/manifests/one`)).status).toBe(401);
    expect(proxy.events().at(-1)).toMatchObject({ reason: 'credentials_expired' });
    await proxy.write(configurationFor(registry, registry.issue()));
    await expect
      .poll(async () => (await proxy.fetch(`${base}/manifests/one`)).status, { timeout: 5000 })
      .toBe(404);
  });

  it('asks for renewed credentials before it begins, where the clock says that they ran out', async () => {
    await using registry = await guardedRegistry();
    const expiresAt = new Date(Date.now() - 1000).toISOString();
    await using proxy = await runProxy(
      configurationFor(registry, registry.issue(), { expiresAt, renewalWaitSeconds: 20 }),
    );
    const asked = proxy.fetch(`${base}/manifests/one`);
    await proxy.write(configurationFor(registry, registry.issue()));
    expect((await asked).status).toBe(404);
    expect(registry.seen.map((each) => each.status)).toEqual([404]);
  });

  it('is a manifest that the upstream took, and none that it refused', async () => {
    await using registry = await guardedRegistry();
    await using proxy = await runProxy(configurationFor(registry, registry.issue()));
    const each = image();
    const put = (reference: string, body: Buffer<ArrayBuffer>) =>
      proxy.fetch(`${base}/manifests/${reference}`, {
        method: 'PUT',
        body,
        headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
      });
    // Its blobs are missing.
    expect((await put('one', each.manifest)).status).toBe(400);
    expect((await put(digest, each.manifest)).status).toBe(400);
    expect((await put('one', Buffer.alloc(5_000_000))).status).toBe(413);
    expect(proxy.events().map((one) => one.event)).toEqual(['listening']);
  });
});

describe('the configuration', () => {
  it.each<[string, (good: ProxyConfigurationInput) => unknown, RegExp]>([
    ['an unknown field', (good) => ({ ...good, extra: 1 }), /unknown/],
    ['no upstream', () => ({ upstreams: [] }), /upstreams/],
    [
      'every repository of an account',
      (good) => ({
        upstreams: good.upstreams.map((each) => ({
          ...each,
          repositories: [{ name: '*', actions: ['pull'] }],
        })),
      }),
      /anonymous/,
    ],
    [
      'an origin with a path',
      (good) => ({ upstreams: good.upstreams.map((each) => ({ ...each, origin: 'https://a/b' })) }),
      /upstreams\.0\.origin/,
    ],
    ['two upstreams of one name', ({ upstreams: [one] }) => ({ upstreams: [one, one] }), /differ/],
  ])('is refused with %s, and the refusal shows no password', async (_, change, message) => {
    await using registry = await guardedRegistry();
    const content = change(configurationFor(registry, registry.issue()));
    const refused = runProxy(content as ProxyConfigurationInput);
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.not.toThrow(/canary/);
  });
});
