import { createOciRegistry } from '@cygni/registry-oci';
import { describe, expect, it } from 'vitest';
import { call, createBuilder, finished } from './support/builder.ts';
import { guardRegistry } from './support/guarded-registry.ts';
import { cluster } from './support/namespace.ts';
import { registryProxyImage } from './support/registry-proxy-image.ts';

const password = 'opens-every-repository-of-the-account';

describe('a registry whose credentials reach a whole account', () => {
  it('is pushed to and cached in, and no RUN step can read them', async () => {
    await using builder = await createBuilder();
    await using guard = await guardRegistry(cluster.registry, cluster.nodeAddress, password);
    const credentials = {
      username: 'account',
      password,
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
      reach: 'account' as const,
    };
    await using registry = createOciRegistry({
      host: guard.host,
      insecure: true,
      credentials: () => credentials,
    });
    await using pipeline = builder.open({
      registry,
      registryProxy: { image: await registryProxyImage() },
    });
    await pipeline.open(call());
    const basic = Buffer.from(`account:${password}`).toString('base64');
    const Dockerfile = [
      'FROM busybox:1',
      // In two pieces, so that the search does not find itself.
      `ARG A=${password.slice(0, 9)} B=${password.slice(9)} C=${basic.slice(0, 9)} D=${basic.slice(9)}`,
      'RUN for each in "$A$B" "$C$D"; do \\',
      '  grep -rl "$each" /kaniko /etc /root /tmp /var 2>/dev/null; \\',
      '  for p in /proc/[0-9]*; do grep -l "$each" $p/environ $p/cmdline 2>/dev/null; done; \\',
      'done; cat /kaniko/.docker/config.json; echo',
      'RUN echo cached > /cached',
    ].join('\n');
    const destination = {
      host: guard.host,
      insecure: true,
      repository: `${builder.namespace.name}/app`,
    };
    const job = await builder.job({ files: { Dockerfile }, destination });
    const { outcome, lines } = await finished(await pipeline.start(job, call()));
    expect(outcome).toMatchObject({ status: 'succeeded', cache: { degraded: false } });
    expect(lines.filter((line) => /^\/(kaniko|etc|root|tmp|var|proc)\//.test(line))).toEqual([]);
    expect(lines).toContain('{"auths":{}}');
    const digest = outcome.status === 'succeeded' ? outcome.digest : '';
    expect(await registry.resolve(destination.repository, digest, call())).toMatchObject({
      digest,
    });
    const again = await builder.job({ files: { Dockerfile }, destination });
    expect((await finished(await pipeline.start(again, call()))).outcome).toMatchObject({
      status: 'succeeded',
      cache: { hits: 2, misses: 0, degraded: false },
    });
  });
});
