import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProxyConfigurationInput } from '../src/index.ts';
import { type GuardedRegistry, guardedRegistry } from '../test/support/guarded-registry.ts';
import { buildInPod, endOfBuild, startBuild, writeSecret } from './support/build-pod.ts';
import { type Cluster, clusterPresent, useCluster } from './support/cluster.ts';
import { proxyImage } from './support/proxy-image.ts';

const kanikoArguments = [
  '--destination=127.0.0.1:5001/target/acme/site:one',
  '--cache=true',
  '--cache-repo=127.0.0.1:5001/target/cache/acme',
  '--registry-map=index.docker.io=127.0.0.1:5001/hub',
  '--skip-default-registry-fallback',
  '--skip-push-permission-check',
  '--push-retry=3',
  '--image-download-retry=3',
  '--image-fs-extract-retry=3',
];

describe.skipIf(!clusterPresent && !process.env.CI)('kaniko and the proxy in one pod', () => {
  let cluster: Cluster;
  let registry: GuardedRegistry;
  let image: string;

  beforeAll(async () => {
    cluster = await useCluster();
    image = await proxyImage(cluster);
    registry = await guardedRegistry({ host: cluster.nodeAddress, redirects: true });
  });
  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  function configuration(password: string): ProxyConfigurationInput {
    return {
      upstreams: [
        {
          name: 'target',
          origin: registry.origin,
          credentials: { username: registry.username, password, expiresAt: null },
          repositories: [
            { name: 'acme/site', actions: ['pull', 'push'], tags: ['one'] },
            { name: 'cache/acme', actions: ['pull', 'push'] },
          ],
        },
        {
          name: 'hub',
          origin: `http://${cluster.registry}`,
          repositories: [{ name: '*', actions: ['pull'] }],
        },
      ],
    };
  }

  it('build, cache and push with credentials that only the proxy has', async () => {
    const password = registry.issue();
    const build = {
      proxyImage: image,
      configuration: configuration(password),
      dockerfile: `FROM busybox:1\nRUN echo ${randomBytes(4).toString('hex')} > /made && cat /made\n`,
      kanikoArguments,
    };
    const first = await buildInPod(cluster, { ...build, name: 'first' });
    expect(first.kanikoLog).toContain('Pushed 127.0.0.1:5001/target/acme/site@');
    expect(first.exitCode).toBe(0);
    const digest = (await registry.direct('/v2/acme/site/manifests/one')).headers.get(
      'docker-content-digest',
    );
    const pushed = first.proxyLines.filter((line) => line.event === 'pushed');
    expect(pushed.at(-1)).toEqual({
      event: 'pushed',
      upstream: 'target',
      repository: 'acme/site',
      reference: 'one',
      digest,
    });
    expect(pushed.map((line) => line.repository)).toContain('cache/acme');
    expect(first.proxyLines.filter((line) => line.event === 'error')).toEqual([]);
    const pair = Buffer.from(`${registry.username}:${password}`).toString('base64');
    for (const secret of [password, pair]) expect(first.proxyLog).not.toContain(secret);

    const second = await buildInPod(cluster, { ...build, name: 'second' });
    expect(second.kanikoLog).toContain('Using caching version of cmd');
    expect(second.exitCode).toBe(0);
    expect(registry.fetched.length).toBeGreaterThan(0);
    expect(registry.fetched.every((each) => each.authorization === undefined)).toBe(true);

    // The proxy does not know that its build has ended; deleting the pod ends it at once.
    const before = performance.now();
    await cluster.kubectl('delete', 'pod', 'first', 'second', '--wait=true', '--timeout=30s');
    expect(performance.now() - before).toBeLessThan(25_000);
  });

  it('survive credentials that expire while kaniko uploads, once the Secret has new ones', async () => {
    const build = {
      name: 'expiring',
      proxyImage: image,
      configuration: configuration(registry.issue()),
      dockerfile: `FROM busybox:1\nRUN head -c 3000000 /dev/urandom > /noise\n`,
      kanikoArguments,
    };
    registry.expireAt('PATCH', /acme\/site/);
    await startBuild(cluster, build);
    await expect.poll(() => registry.armed(), { timeout: 90_000, interval: 100 }).toBe(0);
    await writeSecret(cluster, build.name, configuration(registry.issue()));
    // The kubelet looks at the Secret about once a minute.
    const result = await endOfBuild(cluster, build.name);
    expect(result.kanikoLog).toContain('Pushed 127.0.0.1:5001/target/acme/site@');
    expect(result.exitCode).toBe(0);
  });
});
